--
-- Definitions that are refused, and that nothing is left behind by them
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
RESET client_min_messages;

SELECT count(*) AS workflows FROM idflow.workflow \gset before_

-- Not given
SELECT idflow.deploy(NULL);
SELECT * FROM idflow.validate(NULL);
SELECT idflow.export(NULL);

-- Not XML.  What libxml2 says differs between its versions, so only the rest
-- is shown.
SELECT d.n, v.line, v.element, v.hint
  FROM (VALUES (1, ''), (2, '   '), (3, 'hello'), (4, '<Workflow'),
               (5, E'<Workflow>\n<Activity></Workflow>'),
               (6, E'<Workflow>\n<Activity>'), (7, '<Workflow/><Workflow/>'),
               (8, '<Workflow Identifier="a" Identifier="b"/>'),
               (9, '<Workflow>&foo;</Workflow>'),
               (10, '<Workflow Title="SQL:1 < 2"/>'),
               (11, '<Workflow Title="SQL:a && b"/>'),
               (12, '<Workflow Title=a/>'), (13, '<Workflow Title/>'),
               (14, E'<Workflow Title="\x01"/>'), (15, '<x:Workflow/>')) AS d (n, text),
       idflow.validate(d.text) AS v
 ORDER BY d.n, v.line;
SELECT * FROM idflow.validate(repeat('<Workflow>', 100000));
SELECT * FROM idflow.validate(repeat('<Workflow>', 300) || repeat('</Workflow>', 300));
\set VERBOSITY terse
SELECT idflow.deploy('<Workflow><Activity></Workflow>');
SELECT idflow.deploy('hello');
SELECT idflow.deploy('<Workflow/><Workflow/>');
\set VERBOSITY default

-- Document type declarations, entities, bombs
SELECT * FROM idflow.validate('<?xml version="1.0"?>
<!DOCTYPE Workflow SYSTEM "file:///etc/passwd"><Workflow/>');
SELECT * FROM idflow.validate('<!DOCTYPE Workflow [<!ENTITY x SYSTEM "file:///etc/passwd">]><Workflow>&x;</Workflow>');
SELECT * FROM idflow.validate('<!DOCTYPE Workflow [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><Workflow/>');
CREATE FUNCTION pg_temp.bomb() RETURNS text LANGUAGE sql AS $$
  SELECT '<!DOCTYPE Workflow [<!ENTITY l0 "lol">'
         || string_agg(format('<!ENTITY l%s "%s">', i, repeat(format('&l%s;', i - 1), 10)), '' ORDER BY i)
         || ']><Workflow Identifier="b" DisplayName_L1="&l9;"/>'
    FROM generate_series(1, 9) AS i
$$;
SELECT * FROM idflow.validate(pg_temp.bomb());
SELECT idflow.deploy('<!DOCTYPE Workflow SYSTEM "file:///etc/passwd"><Workflow/>');
SELECT idflow.deploy('<!DOCTYPE Workflow [<!ENTITY x SYSTEM "file:///etc/passwd">]><Workflow>&x;</Workflow>');
\set VERBOSITY terse
SELECT idflow.deploy('<!DOCTYPE Workflow [<!ENTITY x SYSTEM "file:///etc/passwd">]><Workflow Identifier="&x;"/>');
SELECT idflow.deploy(pg_temp.bomb()::xml);
\set VERBOSITY default

-- Size
SELECT * FROM idflow.validate(repeat('x', 50 * 1024 * 1024));
SELECT idflow.deploy(('<Workflow>' || repeat('<Activity Identifier="Activity"/>', 40000) || '</Workflow>')::xml);
SET idflow.max_definition_size = '1kB';
SELECT message FROM idflow.validate('<Workflow Identifier="a">' || repeat(' ', 1000) || '</Workflow>');
RESET idflow.max_definition_size;
SELECT severity, count(*), min(line), max(line), max(message) FILTER (WHERE line IS NULL) AS rest
  FROM idflow.validate('<Workflow Identifier="a" DisplayName_L1="a">' || repeat(E'\n<Activity/>', 2000) || '</Workflow>')
 GROUP BY severity;
SELECT * FROM idflow.validate(E'<Workflow>\n<Activity ' || (SELECT string_agg(format('a%s="x"', i), ' ') FROM generate_series(1, 60000) AS i) || '/></Workflow>');
SELECT * FROM idflow.validate('<Workflow ' || (SELECT string_agg(format('xmlns:a%s="x"', i), ' ') FROM generate_series(1, 50000) AS i) || '/>');
-- five hundred warnings hide no error
SELECT v.line, v.message
  FROM idflow.validate('<Workflow Identifier="a" DisplayName_L1="a">'
         || (SELECT string_agg(format(E'\n<Activity Identifier="a%s" DisplayName_L1="a" Template="Review"/>', i), '' ORDER BY i)
               FROM generate_series(1, 500) AS i)
         || E'\n<Activity Identifier="a1" DisplayName_L1="a" Template="Review"/></Workflow>') AS v
 WHERE v.severity = 'error';

-- Names.  Lines are those on which an element or attribute begins.
SELECT * FROM idflow.validate('<Workflows/>');
SELECT * FROM idflow.validate('<Activity Identifier="a"/>');
SELECT * FROM idflow.validate('<ConfigurationFile/>');
SELECT * FROM idflow.validate('<ConfigurationFile Name="x"/>');
SELECT * FROM idflow.validate('<!-- a
 comment --><Workflow Identifer="w"
    DisplayName="W"
    Due="3 days">text
  <Actvity/>
  <Actor/>
  <Form/>
  <Activity
      Identifier="Review"

      DisplayName_L1="Review" DisplayName_L17="x"
      Template="Revue">
    <Activity/>
  </Activity>
  <Activity Identifier="Persist" DisplayName_L1="Persist" template="persist"/>
</Workflow>');
SELECT * FROM idflow.validate('<Workflow xmlns="urn:a" xmlns:b="urn:b" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    Identifier="w" xsi:schemaLocation="urn:a a.xsd" DisplayName_L1="W"
    b:Title="x" xml:lang="en">
  <b:Activity Identifier="p" DisplayName_L1="P" Template="Persist"/>
</Workflow>');

-- Values
SELECT * FROM idflow.validate('<ConfigurationFile>
<Workflow Identifier="" DisplayName_L1=" " MaxSteps="0" FourEyes="yes" Exact="TRUE" Nested="include"><Activity Identifier="a/b" DisplayName_L1="a" Template="Review"/></Workflow>
<Workflow Identifier="a:b" DisplayName_L1="a" MaxSteps="-1" Trace=""><Activity Identifier=" a" DisplayName_L1="a" Template="Review"/></Workflow>
<Workflow Identifier="xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" DisplayName_L1="a" MaxSteps="99999999999"><Activity Identifier="a&#9;b" DisplayName_L1="a" Template="Review"/></Workflow>
<Workflow Identifier="a" DisplayName_L1="a" MaxSteps="many"><Activity Identifier="a" DisplayName_L1="a" Template="Review" Approvals="0" Declines="150%"/></Workflow>
</ConfigurationFile>') WHERE severity = 'error';

-- Meaning
SELECT * FROM idflow.validate('<ConfigurationFile>
<Workflow Identifier="none" DisplayName_L1="none"/>
<Workflow Identifier="twice" DisplayName_L1="twice">
  <Activity Identifier="a" DisplayName_L1="a" Template="Action"/>
  <Activity Identifier="a" DisplayName_L1="a" Template="Persist"/>
</Workflow>
<Workflow Identifier="twice" DisplayName_L1="twice">
  <Activity Identifier="a" DisplayName_L1="a" Template="Review" ArgumentBlockProvisioning="1">
    <Actor/>
    <Actor Profile="p" Principal="q"/>
    <Actor Profile=""/>
    <Actor Expression="Literal:"/>
  </Activity>
  <Activity Identifier="c" DisplayName_L1="c" Template="ContinueWith"/>
  <Activity Identifier="p" DisplayName_L1="p" Template="Persist" Approvals="1" ArgumentCalledWorkflow="none">
    <Actor Profile="p"/>
  </Activity>
</Workflow>
</ConfigurationFile>');
-- all of them in one error
SELECT idflow.deploy('<Workflow Identifier="w"
    DisplayName_L1="w">
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Reviews"/>
  <Activity Identifier="Review" DisplayName_L1="Review" Template="Review" IfExpression="new.salary > 1"/>
</Workflow>');

-- A value that is wrong, one at a time; the rest is well
CREATE FUNCTION pg_temp.wf(attributes text, activity text DEFAULT '', inside text DEFAULT '', beside text DEFAULT '') RETURNS text LANGUAGE sql AS $$
  SELECT format('<ConfigurationFile><Workflow Identifier="regress_w" DisplayName_L1="w" %s><Activity Identifier="R" DisplayName_L1="R" Template="Review" %s><Actor Profile="p"/>%s</Activity><Activity Identifier="P" DisplayName_L1="P" Template="Persist"/></Workflow>%s</ConfigurationFile>',
                attributes, activity, inside, beside)
$$;
SELECT * FROM idflow.validate(pg_temp.wf(''));
SELECT v.element, v.message, v.hint
  FROM (VALUES (1, 'Nested="include"', '', '', ''), 
               (5, 'ApplyAs="hr"', '', '', ''), (6, 'Retention="1 year"', '', '', ''),
               (7, 'Title="XPath:/x"', '', '', ''),
               (15, '', 'Due="three days"', '', ''),
               (17, '', 'CommentRequired="0"', '', ''),
               (21, '', '', '<Timeout After="three days" Do="Notify"/>', ''),
               (22, '', '', '<Transition On="Declined" To="R"/>', ''),
               (24, '', '', '</Activity><Column Name="salary" Show="Masked"/><Activity Identifier="C" DisplayName_L1="C" Template="ContinueWith" ArgumentCalledWorkflow="x">', ''),
               (31, '', '', '', '<AddChangeAspect Identifier="a" Binding="is_draft" Expression="Literal:true"><PointCut Activity="w:R" ActivityState="Review-ReviewPending" Mode="Before"/></AddChangeAspect>'),
               (32, '', '', '', '<AssertValueAspect Identifier="a" Binding="b" Expression="SQL:true" Message_L1="m"/>'),
               (33, '', '', '', '<AssertValueRequiredAspect Identifier="a" Binding="b"/>'),
               (34, '', '', '', '<BuildUniqueValueAspect Identifier="a" Binding="b" IterationsCount="3"><UnicityCheckRule TargetEntityType="t"/></BuildUniqueValueAspect>'),
               (35, '', '', '', '<InvokeScriptAspect Identifier="a" Agent="b" ScriptFile="c"/>'),
               (36, '', '', '', '<InvokeWorkflowAspect Identifier="a" Workflow="b"/>'),
               (37, '', '', '', '<NotificationAspect Identifier="a" SubjectExpression_L1="Literal:x" RazorFile_L1="x"><Recipient Type="Actor" IsCC="0"/></NotificationAspect>'),
               (38, '', '', '', '<InvokeFunctionAspect Identifier="a" Function="f"/>'),
               (39, '', '', '', '<SeparationAspect Identifier="a"/>'),
               (40, '', '', '', '<HomonymEntityLink Identifier="a" FormEntityType="b"><Filter Property1="p" ComparisonProperty1="q" Expression1="SQL:lower(p)" Operator1="FlexibleEqual"/></HomonymEntityLink>'),
               (41, '', '', '', '<AccessControlRule Identifier="a" DisplayName_L1="a" EntityType="e" Profile="p"><Entry Permission="/Custom/Workflows/w/R/ReviewPending" CanExecute="true"/><Filter Binding="Manager.Id" CurrentUser="true"/></AccessControlRule>'))
         AS d (n, attributes, activity, inside, beside),
       idflow.validate(pg_temp.wf(d.attributes, d.activity, d.inside, d.beside)) AS v
 WHERE v.severity = 'error'
 ORDER BY d.n, v.message COLLATE "C";
SELECT idflow.deploy(pg_temp.wf('Nested="include"')::xml);
\echo :LAST_ERROR_SQLSTATE
SELECT idflow.deploy(pg_temp.wf('', 'Approvals="none"')::xml);
\echo :LAST_ERROR_SQLSTATE

-- Expressions: one of them, and nothing else
SELECT d.expression, v.message, v.hint
  FROM unnest(ARRAY['', 'new.name', 'sql:1', 'LITERAL:x', 'XPath:/a/b', 'C#:user: return true;', 'C#user',
                    'SQL:', 'SQL:   ', 'SQL:-- nothing', 'SQL:1 /* x', 'SQL:a IS NOT', 'SQL:''abc', 'SQL:"x', 'SQL:$$ x',
                    'SQL:1) ; DROP TABLE x --', 'SQL:1)+(2', 'SQL:1; SELECT 2', 'SQL:1, 2', 'SQL:1 AS x', 'SQL:1 x', 'SQL:*', 'SQL:new.*',
                    'SQL:1 FROM t', 'SQL:1 WHERE true', 'SQL:1 GROUP BY 1', 'SQL:1 ORDER BY 1', 'SQL:1 LIMIT 1',
                    'SQL:1 FOR UPDATE', 'SQL:DISTINCT 1', 'SQL:1 UNION SELECT 2', 'SQL:SELECT 1',
                    'SQL:(SELECT 1 INTO x)', 'SQL:(SELECT x FROM t FOR UPDATE)',
                    'SQL:(WITH d AS (DELETE FROM t RETURNING 1) SELECT 1)', 'SQL:$1', 'SQL:f(x => $2)',
                    -- these are well
                    'SQL:1', 'SQL:1 -- one', 'SQL:''--'' || new.name', 'SQL:(SELECT max(x) FROM t WHERE t.id = new.id)',
                    'SQL:new.a <> old.a AND "Quoted" & 1 > 0', 'SQL:CASE WHEN new.a THEN ''x'' END', 'SQL:ARRAY(SELECT x FROM t)',
                    'Literal:', 'Literal:C#: x']) WITH ORDINALITY AS d (expression, n)
  LEFT JOIN LATERAL idflow.validate(pg_temp.wf(format('Title="%s"', replace(replace(replace(d.expression, '&', '&amp;'), '<', '&lt;'), '"', '&quot;')))) AS v ON true
 ORDER BY d.n;
SELECT d.expression, v.message, v.hint
  FROM unnest(ARRAY['Literal:maybe', 'Literal:true', 'SQL:1']) WITH ORDINALITY AS d (expression, n)
  LEFT JOIN LATERAL idflow.validate(pg_temp.wf('', format('IfExpression="%s"', d.expression))) AS v ON true
 ORDER BY d.n;
SELECT left(v.message, 60) AS message, v.hint FROM idflow.validate(pg_temp.wf('Title="SQL:' || repeat('1+', 200000) || '1"')) AS v;
SELECT left(v.message, 60) AS message, length(v.message) < 500 AS short FROM idflow.validate(pg_temp.wf('Title="SQL:' || repeat('(', 200000) || '"')) AS v;

-- Ten thousand refused definitions in one backend: memory does not grow
CREATE TABLE regress_bad (n int, document text);
INSERT INTO regress_bad
VALUES (0, '<Workflow><Activity></Workflow>'),
       (1, pg_temp.bomb()),
       (2, '<!DOCTYPE Workflow SYSTEM "file:///etc/passwd"><Workflow/>'),
       (3, '<Workflow/>'),
       (4, pg_temp.wf('Title="SQL:1) ; DROP TABLE x --"')),
       (5, pg_temp.wf('Nested="include"')),
       (6, repeat('<Workflow>', 1000)),
       (7, '<Workflow Identifier="w" DisplayName_L1="w">' || repeat('<Activity/>', 500) || '</Workflow>'),
       (8, '<x:Workflow xmlns:x="urn:x" x:a="b"><Activity/>&amp;</x:Workflow>'),
       (9, repeat('x', 2000000));
CREATE PROCEDURE regress_refuse(times int) LANGUAGE plpgsql AS $$
DECLARE
	bad text;
	refused int := 0;
BEGIN
	FOR i IN 1 .. times LOOP
		SELECT document INTO STRICT bad FROM regress_bad WHERE n = i % 10;
		BEGIN
			IF i % 20 < 10 THEN
				PERFORM idflow.deploy(bad::xml);
			ELSE
				PERFORM FROM idflow.validate(bad) WHERE severity = 'error';
				IF FOUND THEN
					RAISE 'refused' USING ERRCODE = 'WF001';
				END IF;
			END IF;
		EXCEPTION WHEN OTHERS THEN
			refused := refused + 1;
		END;
	END LOOP;
	RAISE NOTICE '% of % refused', refused, times;
END
$$;
CREATE FUNCTION pg_temp.resident() RETURNS bigint LANGUAGE sql AS $$
  SELECT COALESCE(split_part(pg_read_file('/proc/self/statm', 0, 200, true), ' ', 2)::bigint * 4096, 0)
$$;
CALL regress_refuse(1000);
SELECT sum(total_bytes) AS contexts FROM pg_backend_memory_contexts \gset before_
SELECT pg_temp.resident() AS resident \gset before_
CALL regress_refuse(10000);
SELECT sum(total_bytes) - :before_contexts < 1024 * 1024 AS contexts_do_not_grow FROM pg_backend_memory_contexts;
SELECT pg_temp.resident() - :before_resident < 8 * 1024 * 1024 AS process_does_not_grow;
DROP PROCEDURE regress_refuse;
DROP TABLE regress_bad;

-- Nothing is left behind
SELECT count(*) - :before_workflows AS more_workflows FROM idflow.workflow;
