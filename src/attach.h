/*-------------------------------------------------------------------------
 *
 * attach.h
 *		Gates: the triggers that tie workflows to tables.
 *
 * attach.c		  idflow.attach() and idflow.detach()
 * attach_check.c what may be attached to, and with which operations
 * attach_element.c whether a workflow's elements fit a table
 * gate_create.c  making and dropping the triggers
 * gate_info.c	  reading gates back from the catalogs
 * require.c	  idflow.require_approval()
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_ATTACH_H
#define IDFLOW_ATTACH_H

#include "postgres.h"

#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

#include "idflow.h"

/* Trigger names that begin so are idflow's. */
#define GATE_PREFIX				"!idflow_"
#define GATE_TRUNCATE_TRIGGER	GATE_PREFIX "000_truncate"

/* the numbers in the names: the order in which a table's gates fire */
#define GATE_FIRST_NUMBER		100
#define GATE_NUMBER_STEP		10
#define GATE_LAST_NUMBER		990

/* arguments of a gate's trigger */
#define GATE_ARG_WORKFLOW		0
#define GATE_ARG_NAME			1
#define GATE_ARG_OWNER			2	/* see apply_as_trusts() */

/* argument of the trigger that refuses TRUNCATE on a partition */
#define GATE_ARG_PARTITION		"partition"

/* ----------------------------------------------------------- attach.c */

extern char *fitting_name(const char *prefix, const char *name, const char *suffix);
extern void attach_workflow(const char *workflow, Oid relid, List *operations,
							const char *condition, List *columns);

/* ----------------------------------------------------- attach_check.c */

extern List *attach_operations(Datum array);	/* of CmdType, as int list */
extern List *attach_columns(Datum array);	/* of char * */
extern Relation attach_open_target(Oid relid);
extern void attach_check_target(Relation rel, List *operations);
extern void attach_check_columns(Relation rel, List *operations, List *columns);
extern void attach_warn_early_triggers(List *relids, CmdType operation,
									   const char *gate_name);

/* ------------------------------------------------------ gate_create.c */

extern void create_gate(Relation rel, const char *name, const char *workflow,
						CmdType operation, const char *condition, List *columns,
						const char *owner);
extern void drop_trigger(Oid trigger_oid);
extern void create_truncate_triggers(Oid root, List *relids);
extern void drop_truncate_triggers(List *relids);

/* -------------------------------------------------------- gate_info.c */

extern Oid	gate_function_oid(void);
extern Oid	truncate_function_oid(void);
extern bool trigger_is_gate(Trigger *trigger);
extern bool has_gate(TriggerDesc *triggers);
extern const char *trigger_workflow(Trigger *trigger);
extern int16 operation_trigger_event(CmdType operation);

/* attach.c */
extern void workflow_fits(Workflow *wf, Relation rel);

/* attach_element.c */
extern char *element_place(Workflow *wf, const DefinitionElement *element);
extern void element_binding_fits(Workflow *wf, const DefinitionElement *element,
								 const char *attribute, Relation rel);
extern void element_expressions_fit(Workflow *wf, const DefinitionElement *element, Relation rel,
									Oid deployer);
extern void element_fits(Workflow *wf, const DefinitionElement *element, Relation rel, Oid deployer);
extern void attach_elements(Workflow *wf, Relation rel, Oid deployer);

#endif							/* IDFLOW_ATTACH_H */
