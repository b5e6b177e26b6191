/*-------------------------------------------------------------------------
 *
 * idflow.h
 *	  What the files of the library share.  Externs are grouped by the file
 *	  that defines them.
 *
 * The path of a row: gate.c receives it from the trigger manager, image.c
 * turns it into an image, check.c says whether the table would take it,
 * request.c keeps the request and its changes, engine.c advances the request
 * until it waits for people (task.c) or is through, and apply.c writes it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_H
#define IDFLOW_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "element.h"
#include "errcodes.h"
#include "template.h"

/* Candidate keys: how a principal and a profile are written in idflow.candidate. */
#define KEY_PRINCIPAL	"u:"
#define KEY_PROFILE		"p:"

/* whom a task that has nobody else asks */
#define KEY_ADMIN		"a:idflow_admin"

typedef enum NoticeMode
{
	NOTICE_STATEMENT,
	NOTICE_ROW,
	NOTICE_OFF
} NoticeMode;

/* ------------------------------------------------------------ idflow.c */

/* settings */
extern char *setting_actor;
extern char *setting_actor_function;
extern bool setting_require_actor;
extern char *setting_context;
extern char *setting_title;
extern char *setting_comment;
extern char *setting_effective_at;
extern char *setting_expires_at;
extern int	setting_notice;
extern int	setting_check_limit;
extern bool setting_count_drafts;
extern bool setting_trace;

/* executor nesting as seen by the hooks; see notice.c */
extern QueryDesc *executing_query(void);
extern PlannedStmt *executing_statement(void);
extern void loading_statement_end(void);
extern int	executor_depth(void);
extern void loaded_by_gate(void);
extern bool library_is_preloaded(void);
extern bool statement_end_is_seen(void);
struct Wrapper;
extern struct Wrapper *running_wrapper(void);
extern struct Wrapper *set_running_wrapper(struct Wrapper *wrapper);

/* ------------------------------------------------------------- store.c */

/*
 * A statement of idflow's own.  SQL is fully qualified, operators included,
 * because it runs under whatever search_path the session has.
 */
typedef struct StorePlan
{
	const char *sql;
	int			nargs;
	Oid			argtypes[48];
	SPIPlanPtr	plan;
} StorePlan;

typedef struct UserSwitch
{
	Oid			userid;
	int			sec_context;
} UserSwitch;

extern Oid	extension_relid(const char *relname);
extern Oid	extension_schema(void);
extern void become(UserSwitch *save, Oid userid, int extra_flags);
extern void restore_user(const UserSwitch *save);
extern int	become_pinned(UserSwitch *save, Oid userid, int extra_flags);
extern void restore_pinned(const UserSwitch *save, int nest);

/*
 * store_begin() connects to SPI and becomes the extension's owner; between it
 * and store_end() store_exec() runs statements.  Memory that must outlive
 * store_end() is copied by the caller into another context.
 */
extern void store_begin(UserSwitch *save);
extern int	store_exec(StorePlan *plan, Datum *values, const char *nulls, bool read_only);
extern bool store_finds(StorePlan *plan, Datum *values, bool read_only);
extern int	store_exec_latest(StorePlan *plan, Datum *values);
extern void store_end(const UserSwitch *save);

/* columns of the current SPI result; NULL or 0 for SQL null */
extern char *spi_text(HeapTuple tuple, int column);
extern int64 spi_int64(HeapTuple tuple, int column);
extern int	spi_int32(HeapTuple tuple, int column);
extern Datum spi_datum(HeapTuple tuple, int column, bool *isnull);

/* arrays and text */
extern Datum text_datum(const char *s, char *isnull);
extern Datum text_array_datum(List *strings);
extern List *text_array_list(Datum array);
extern bool strings_contain(List *strings, const char *s);
extern int64 text_array_hash(Datum array);
extern Datum int2_array_datum(int16 *values, int n);
extern int16 *int2_array_values(Datum array, int *n);
extern List *string_list(char **strings, int n);

/* ------------------------------------------------------------- actor.c */

extern const char *actor_name(void);	/* never NULL; errors if require_actor
										 * is not met */
extern bool role_is_admin(Oid roleid);	/* member of idflow_admin, or superuser */
extern bool role_is_auditor(Oid roleid);	/* idflow_auditor or idflow_admin */
extern bool directory_holds(const char *principal, const char *profile, const char *tenant);
extern List *directory_profiles(const char *principal); /* of char * */
extern List *directory_holders(const char *profile, const char *tenant);	/* of char * */
extern List *actor_keys(const char *principal); /* candidate keys of char *:
												 * KEY_PRINCIPAL name, then
												 * KEY_PROFILE for each profile */

/* The request that is applied, set by apply.c; NULL, and number 0, if none. */
extern struct Request *applying;
extern int64 applying_request(void);

/* --------------------------------------------------------- principal.c */

extern int64 principal_binding(const char *name);	/* 0: no database role */
extern bool principal_is_bound(const char *name, int64 binding);
extern bool key_is_bound(const char *key, int64 binding);
extern Datum binding_datum(int64 binding, char *isnull);

/* The same in SQL, of a name and of a row of idflow.candidate. */
#define IS_BOUND(name, binding) \
	"(" binding " IS NULL OR idflow.is_bound(" name ", " binding "))"
#define KEY_IS_BOUND(c) \
	"(" c ".binding IS NULL OR idflow.place_is_bound(" c ".place, " c ".binding))"

/* ---------------------------------------------------------- workflow.c */

typedef struct ActorRule
{
	char	   *profile;		/* exactly one of the three is not NULL */
	char	   *principal;
	char	   *expression;
	char	   *approvals;		/* a quota of its own, or NULL */
} ActorRule;

typedef struct Activity
{
	int			position;		/* 1 .. n */
	char	   *name;
	char	   *display_name;
	const ActivityTemplate *template;
	char	   *if_expression;
	List	   *actors;			/* of ActorRule */
	DefinitionElement *element; /* its other attributes and children */
	List	   *aspects;		/* of Aspect: those at its states, as they run */
	bool		has_quota;		/* its tasks take more than one vote */
	bool		has_deadline;	/* its tasks have a due date or timers */
	DefinitionElement *homonyms;	/* the homonym link that it looks with, or
									 * NULL */
} Activity;

/* A workflow's version as the session holds it; immutable once loaded. */
typedef struct Workflow
{
	int64		id;
	char	   *name;
	int			version;
	char	   *title;
	char	   *subject;
	int			max_steps;
	bool		four_eyes;
	bool		exact;
	bool		includes;		/* Nested="Include" */
	bool		trace;			/* keep what expressions gave */
	int			bundle;			/* BundleMode: what becomes one request */
	bool		one_request;	/* one on a row at a time */
	char	   *deployed_by;
	DefinitionElement *element; /* its other attributes; children: columns,
								 * aspects, homonym links */
	int			nactivities;
	Activity   *activities;
	List	   *further;		/* of Activity: see separation_review.c */
} Workflow;

extern Workflow *workflow_current(const char *name, bool missing_ok);
extern Workflow *workflow_by_id(int64 id);
extern bool workflow_any_includes(void);
extern Activity *workflow_activity(Workflow *wf, int position);
extern Activity *workflow_activity_named(Workflow *wf, const char *name);

/* -------------------------------------------------------- expression.c */

struct Change;
struct Request;
typedef enum ExpressionKind
{
	EXPRESSION_BOOL,			/* a condition */
	EXPRESSION_TEXT,			/* one value */
	EXPRESSION_NAMES			/* names: one, an array or a set */
} ExpressionKind;

/*
 * What an expression knows beside its rows while a value is built: iteration
 * and value.  NULL otherwise, and both are null.
 */
typedef struct ExpressionVariables
{
	int			iteration;
	const char *value;
} ExpressionVariables;

extern ExpressionVariables *expression_variables;

extern void expression_check(const char *expression, ExpressionKind kind, Oid relid,
							 Oid deployer, const char *what);
extern bool expression_bool(const char *expression, Workflow *wf, struct Request *request,
							struct Change *change, const char *what);
extern char *expression_text(const char *expression, Workflow *wf, struct Request *request,
							 struct Change *change, const char *what);
extern Oid	deployer_role(Workflow *wf);
extern char *expression_over_table(const char *expression, Workflow *wf, Relation rel,
								   const char *what);
extern List *expression_names(const char *expression, Workflow *wf, struct Request *request,
							  struct Change *change, const char *what);

/* ------------------------------------------------------------ layout.c */

typedef struct LayoutBinding LayoutBinding;

/* The columns of a table at some time; idflow.layout. */
typedef struct Layout
{
	int64		id;
	Oid			relid;			/* of the table it was made from; invalid: made
								 * in another database */
	Oid			target;			/* the table now */
	int			ncolumns;
	char	  **names;
	int16	   *attnums;
	char	  **types;
	Oid		   *type_oids;		/* and their modifiers; NULL if not known, or */
	int32	   *typmods;		/* made in another database */
	char	  **shapes;			/* likewise, see type_shape() */
	List	   *row_types;		/* relations of the shapes; layout_of() only */
	FmgrInfo   *output;			/* output functions; layout_current() only */
	bool		special;		/* has types whose text depends on more settings */
	bool		lasting;		/* lives as long as the session */
	LayoutBinding *binding;		/* see binding.c; NULL: none yet */
} Layout;

extern Layout *layout_of(Relation rel);
extern char *type_shape(Oid type, List **row_types);
extern Layout *layout_current(Relation rel);
extern Layout *layout_by_id(int64 id);
extern void layout_forget_uncommitted(void);

/* ------------------------------------------------------------- image.c */

/* Values of some columns of a layout, as output text; NULL is SQL null. */
typedef struct Image
{
	int			n;
	int16	   *columns;		/* positions in the layout, from 1; NULL: all */
	char	  **values;
} Image;

/*
 * What the values of an image may come to as text.  An image is shown as jsonb,
 * which holds 256 MB, and change_diff has three of a value in one row, which may
 * have 1 GB: whatever can be drafted can be read.
 */
#define MAX_IMAGE_SIZE ((Size) 255 * 1024 * 1024)

does_not_return extern void image_too_large(Layout *layout, int position);
extern Image *image_from_slot(Layout *layout, TupleTableSlot *slot, Bitmapset *positions);
extern Image *image_from_arrays(Datum columns, bool columns_null, Datum values, bool values_null);
extern void image_to_datums(Image *image, Datum *columns, char *columns_null,
							Datum *values, char *values_null);
extern const char *image_value(Image *image, int position, bool *found);
extern int image_position(Image *image, int i);
extern Image *image_copy(Image *image);
extern void image_set(Image *image, int position, const char *value);
extern void image_remove(Image *image, int position);
extern void set_if_different(const char *name, const char *value);
extern int	transmission_modes_begin(void);
extern int	transmission_modes_begin_for(Layout *layout);
extern void transmission_modes_end(int nestlevel);

/* --------------------------------- requests, changes, events, tasks */

/* What has become of the row that a change is about. */
typedef enum RowFate
{
	ROW_THERE,
	ROW_MOVED,					/* it has another key */
	ROW_RECREATED,				/* another row has its key */
	ROW_DELETED
} RowFate;

/* One drafted row operation; idflow.change_data. */
typedef struct Change
{
	int			seq;
	int			count;			/* rows that it stands for, if more than one; see
								 * pack.c */
	int			revision;
	Oid			target;
	char	   *target_name;
	CmdType		operation;
	Layout	   *layout;
	List	   *gates;			/* names of the workflows whose gates it met */
	Image	   *key;			/* NULL for INSERT into a table without a key */
	Image	   *old_image;		/* UPDATE: touched columns; DELETE: all */
	Image	   *new_image;		/* INSERT: all; UPDATE: touched columns */
	Bitmapset  *written;		/* INSERT: positions the statement named */
	bool		written_known;
	Bitmapset  *others;			/* positions whose drafted value is not the
								 * requester's own: aspects', editors' */
	bytea	   *salt;			/* keeps digests from being guessed */
	List	   *context;		/* settings: name, value, name, value ... */
	int64	   *held;			/* its keys in idflow.pending_key, by digest */
	int			nheld;
	Bitmapset  *stand_ins;		/* simulated: attribute numbers of columns whose
								 * value stands for one that would be unique */
	bool		stored;			/* has a row in idflow.change_data */

	/* a pack, or one of its rows */
	Bitmapset  *key_positions;	/* in the layout; of the keys of a pack's rows */
	char	   *digest;			/* of them, once computed */
	Datum		rows;			/* a pack's values as they are stored; 0: blanked */
	struct Change *pack;		/* the one that this is stored in; NULL: none */

	/* the version of the row that the draft is based on; see row_base.c */
	TransactionId base_xid;		/* that wrote it; invalid: not known */
	Oid			base_file;
	TimestampTz based_at;		/* 0: when the request was made */
	RowFate		fate;			/* what row_base() has found */

	/* written by a trigger of the request's apply; see nested.c */
	bool		nested;
	List	   *nested_gates;	/* OIDs of gates that it came through just now */
	SubTransactionId nested_subid;	/* in which it did */

	/* written before its approval; see persist_into.c */
	bool		resource;
	HeapTuple	resource_row;	/* the row that came of it */

	/* the rows in the target's present shape, once row_load() has made them */
	HeapTuple	old_row;		/* UPDATE, DELETE: as drafted upon */
	HeapTuple	new_row;		/* INSERT, UPDATE: as drafted */
} Change;

typedef struct Event
{
	const char *actor;
	const char *on_behalf_of;
	const char *via;
	const char *activity;
	const char *transition;
	const char *from_state;
	const char *to_state;
	const char *comment;
	Jsonb	   *data;
} Event;

/* An activity of a workflow's version. */
typedef struct Place
{
	int64		workflow;
	int			position;
} Place;

/* A date of a request that is not set.  Zero is one: 2000-01-01 00:00 UTC. */
#define NO_DATE		DT_NOBEGIN

/* A request in memory: read, advanced, and written back once. */
typedef struct Request
{
	int64		id;
	Workflow   *workflow;		/* NULL while nothing is drafted */
	char	   *title;
	const char *state;
	int			position;		/* of the activity it stands at; 0: none */
	const char *activity_state; /* the template's state, short; NULL: none */
	int64		task;			/* the open task; 0: none */
	ItemPointerData task_tid;	/* where its row was last seen, if it was */
	char	   *requester;
	int64		requester_binding;	/* see principal.c */
	char	   *tenant;			/* see tenant.c; NULL: none */
	char	   *subject;
	int64		subject_binding;
	int64		parent;
	TimestampTz opened_at;
	TimestampTz closed_at;		/* 0: not closed */
	int			revision;
	int			steps;
	int			nevents;
	int			nchanges;
	bool		persisted;		/* its rows are written */
	List	   *passed;			/* names of workflows it went through, from their
								 * beginnings */
	bool		partway;		/* came into its present one at an activity */
	bool		four_eyes;		/* what its present one says, or one that goes
								 * on in it */
	List	   *reviewed;		/* of Place: reviews it went through */
	List	   *left_at;		/* of Place: Persists that left the writing to a
								 * later one */
	List	   *editors;		/* principals who edited drafts */
	char	   *role;			/* database role it is applied as */
	int64		role_binding;
	int64		apply_as_of;	/* version whose ApplyAs that is; 0: the
								 * requester's own role */
	TimestampTz effective_at;	/* it is not written before; NO_DATE: at once */
	TimestampTz expires_at;		/* it is reversed then; NO_DATE: never */
	TimestampTz effective_asked;	/* what was asked for, whatever workflows */
	TimestampTz expires_asked;	/* say; NO_DATE: nothing */
	bool		dated;			/* its dates stand; see schedule.c */
	bool		reverses;		/* made by reverse.c just now */
	ItemPointerData tid;		/* where its row is */
	const char *acting;			/* who moves it now; for events */
	const char *acting_via;
	const char *acting_for;		/* on whose behalf he does; NULL: his own */
	bool		overriding;		/* an admin decides it: nobody is asked */
	bool		is_new;
	bool		stands_alone;	/* no further change will refer to one of it */
	bool		marked;			/* waits without a task; see task_mark_waiting() */
	bool		keys_free;		/* closed: its pending keys are to be dropped */
	List	   *events;			/* of Event, not yet written */
	List	   *trace;			/* of TraceStep, not yet written */
	int			further_reviews;	/* to be had before it goes on, a bit for each */
	List	   *notify_asked;	/* notifications for whom it asks next */
	List	   *changes;		/* of Change */
	bool		changes_loaded;
} Request;

/* request.c */
extern Request *request_create(const char *actor);
extern Request *request_load(int64 id);
extern bool request_try_lock(int64 id);
extern Request *request_read(int64 id);
extern Request *request_load_by_task(int64 task);
extern void request_write(Request *req);
extern void request_close(Request *req, const char *state);
extern bool request_is_closed(Request *req);
extern void request_name(Request *req, Change *change);
extern Activity *request_activity(Request *req);
extern char *request_full_state(Request *req);
extern List *request_context(void);
extern bool request_is_of(Request *req, const char *principal);
extern int64 request_binding(Request *req, const char *name);
extern void request_participant(Request *req, const char *principal, bool acted);
extern void events_write(Request *req);
extern Event *request_event(Request *req, const char *actor, const char *via,
							const char *transition, const char *comment);

/* place.c */
extern List *places_add(List *places, int64 workflow, int position);
extern Datum places_datum(List *places);
extern List *places_list(Datum array);

/* change.c */
extern void change_add(Request *req, Change *change);
extern void change_store(Request *req, Change *change);
extern void change_store_held(Request *req, Change *change);
extern List *changes_held(Request *req, int seq);
extern void change_update(Request *req, Change *change);
extern void change_update_gates(Request *req, Change *change);
extern Bitmapset *positions_of(Datum array);
extern void change_drop(Request *req, int seq);
extern List *request_stored(Request *req);
extern List *request_changes(Request *req);
extern List *changes_on_row(Request *req, Change *like);
extern const char *operation_name(CmdType operation);
extern AclMode operation_privilege(CmdType operation);

/* digest.c */
extern char *image_digest(Image *image, bytea *salt);
extern char *change_numbers(Change *change);
extern char *image_digests(Request *req);
extern JsonbValue *json_digests(JsonbParseState **state, Request *req);

/* unpack.c */
extern List *governed_changes(Request *req);

/* engine.c */
extern void engine_start(Request *req, Workflow *wf);
extern Event *engine_move(Request *req, const char *transition, const char *to, const char *comment);
extern void engine_leave(Request *req);
extern void engine_review_again(Request *req);
extern void engine_apply_again(Request *req);

/* task.c */
extern int64 task_request(int64 task, ItemPointer tid);
extern void task_mark_waiting(Request *req);
extern void task_unmark_waiting(Request *req);
extern void task_open(Request *req);
extern void task_ask_again(Request *req);
/* A vote that is stored as its task closes. */
typedef struct Vote
{
	const char *principal;
	const char *on_behalf_of;	/* NULL: his own */
	const char *via;
	const char *vote;
	const char *comment;
} Vote;

extern void task_store_vote(Request *req, Vote *vote);
extern void task_close(Request *req, const char *outcome, Vote *vote);

/* pending.c */
extern void pending_keys_add(Request *req, Change *change, Relation rel, TupleTableSlot *slot,
							 Bitmapset *touched, ItemPointer self, List *first, bool check_live);
extern void pending_row_add(Request *req, Change *change, Relation rel);
extern bool pending_value_take(Request *req, Change *change, Oid relid, const char *column,
							   const char *value);
extern void pending_value_keep(Request *req, Change *change, Oid relid, const char *column,
							   const char *value);
extern bool pending_key_raced(ErrorData *error);
extern void pending_keys_drop(Request *req, int seq);
extern int	pending_key_of_request(int64 request, Oid indexid, int nkeys,
								   Oid *types, Oid *collations, Datum *values);

/* check.c */
struct StatementInfo;
extern bool has_other_triggers(Relation rel, CmdType operation);
extern bool draft_check(Request *req, Change *change, Relation rel, struct StatementInfo *info,
						TupleTableSlot *old, TupleTableSlot *new, Bitmapset *touched);

/* row.c */
extern Relation row_open(Change *change, LOCKMODE lockmode);
extern Bitmapset *row_key_attnums(Relation rel, Oid *indexid);
extern char *row_text(Relation rel, HeapTuple row, AttrNumber attnum);
extern HeapTuple row_find(Relation rel, Change *change, bool lock);
extern void row_load(Request *req, Change *change, Relation rel);
extern Oid	requester_role(Request *req);

/* row_base.c */
extern void row_base_note(Change *change, Relation rel, TupleTableSlot *old);
extern void row_base_renew(Change *change, HeapTuple live);
extern HeapTuple row_base(Request *req, Change *change, Relation rel);
extern const char *row_fates(Request *req);
extern const char *row_fate_name(RowFate fate);

/* binding.c */
extern void layout_unbind(Oid relid);
extern AttrNumber row_attnum(Layout *layout, Relation rel, int position, bool missing_ok);
extern Datum row_value(Form_pg_attribute att, const char *text, bool *isnull);
extern Datum layout_value(Layout *layout, Relation rel, int position, const char *text, bool *isnull);

/* language.c */
extern const char *element_text(const DefinitionElement *element, const char *stem,
								const char *principal);

/* json.c */
extern Jsonb *json_from_text(const char *text);
extern void json_open(JsonbParseState **state, JsonbIteratorToken what);
extern JsonbValue *json_close(JsonbParseState **state, JsonbIteratorToken what);
extern void json_key(JsonbParseState **state, const char *key);
extern void json_string(JsonbParseState **state, JsonbIteratorToken as, const char *value);
extern void json_binding(JsonbParseState **state, JsonbIteratorToken as, int64 binding);
extern void json_strings(JsonbParseState **state, List *values);
extern void json_int64(JsonbParseState **state, JsonbIteratorToken as, int64 value);
extern void append_int(StringInfo buf, int value);
extern void json_pair(StringInfo buf, const char *name, const char *value);

#endif							/* IDFLOW_H */
