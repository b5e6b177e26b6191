-- What a statement inserts is one request, which ann decides.
CREATE EXTENSION idflow;
SELECT name, version FROM idflow.deploy($$
<Workflow Identifier="Bench_Bulk" DisplayName_L1="Many at once" Bundle="statement">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review"><Actor Principal="ann"/></Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" Template="Persist"/>
</Workflow>$$);
SELECT idflow.attach('Bench_Bulk', 'hr.person');
