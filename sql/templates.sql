--
-- Activity templates: the table of states and transitions
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS idflow;
RESET client_min_messages;

SELECT template, state, verb, to_state, transition FROM idflow.activity_templates();

SELECT template, count(*) AS transitions,
       count(DISTINCT state) AS states_to_leave
  FROM idflow.activity_templates()
 GROUP BY template ORDER BY template COLLATE "C";

-- every state of the seven templates
SELECT template || '-' || state AS full_name
  FROM (SELECT template, state FROM idflow.activity_templates()
        UNION
        SELECT template, to_state FROM idflow.activity_templates()) AS s
 ORDER BY template COLLATE "C", state COLLATE "C";

-- anybody may ask
CREATE ROLE regress_idflow_reader;
SET ROLE regress_idflow_reader;
SELECT count(*) FROM idflow.activity_templates();
RESET ROLE;
DROP ROLE regress_idflow_reader;
