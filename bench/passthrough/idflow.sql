-- A gate with the same condition.
CREATE EXTENSION idflow;
SELECT name, version FROM idflow.deploy($$
<Workflow Identifier="Bench_Payroll" DisplayName_L1="Payroll" VariablesType="Workflow_Person">
  <Activity Identifier="Request" DisplayName_L1="Request" Template="ActionWithRefine"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review">
    <Actor Principal="payroll.lead"/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Bench_Payroll', 'hr.person', '{INSERT,UPDATE}', condition => 'NEW.department = ''payroll''');
