-- The same with idflow: the four activities of an onboarding, decided by the
-- manager whom the drafted row names.
CREATE EXTENSION idflow;
SELECT name, version FROM idflow.deploy($$
<Workflow Identifier="Bench_Onboarding" DisplayName_L1="Onboarding" VariablesType="Workflow_Person">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="ActionWithRefine"/>
  <Activity Identifier="PersistDraft" DisplayName_L1="Persist draft" Template="PersistOnlyResources"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="ReviewWithFeedback">
    <Actor Expression="SQL:new.manager_id::text"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Bench_Onboarding', 'hr.person', '{INSERT}');
SELECT format('ALTER DATABASE %I SET idflow.notice = off', current_database()) \gexec
