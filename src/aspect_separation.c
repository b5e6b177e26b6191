/*-------------------------------------------------------------------------
 *
 * aspect_separation.c
 *	  SeparationAspect: rights that exclude one another are not given to one
 *	  person.
 *
 * The rights counted are those that the person would hold: what Expression
 * yields and the column of Right, for the draft at hand, for the others of its
 * request, and for the drafts of open requests that were made before it.  Of
 * two requests that exclude one another the older one so goes first, and they
 * don't keep each other from being approved.
 *
 * Whoever looks holds the person's lock until his transaction ends.  Without
 * it two that look at the same moment would both find nothing: neither sees
 * what the other has not committed.  The drafts are read before the rights: a
 * request that is written in between is counted twice and not missed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "aspect.h"
#include "aspect_separation.h"
#include "attach.h"
#include "compat.h"
#include "plancache.h"

/* SQL's advisory locks are of the classes 1 and 2 */
#define PERSON_LOCK_CLASS	3

/*
 * People share this many locks for each relation of conflicts, so that a
 * statement about many of them doesn't fill the lock table.
 */
#define PERSON_LOCKS		1024

/*
 * Drafts of a table by open requests made before one.  New rows tell by their
 * image whose they are; of others only some columns are there.
 */
static StorePlan drafts_plan = {
	"SELECT d.request, d.seq, d.count"
	" FROM (SELECT DISTINCT c.request FROM idflow.candidate c WHERE c.request OPERATOR(pg_catalog.<) $2) o"
	" JOIN ONLY idflow.change_data d ON d.request OPERATOR(pg_catalog.=) o.request"
	" JOIN idflow.layout l ON l.id OPERATOR(pg_catalog.=) d.layout"
	" WHERE d.target OPERATOR(pg_catalog.=) $1 AND d.superseded IS NULL"
	" AND d.operation OPERATOR(pg_catalog.<>) 'DELETE' AND (d.operation OPERATOR(pg_catalog.<>) 'INSERT'"
	" OR idflow.image_has(d.new_image, d.new_columns, l.columns, $3, $4)) ORDER BY d.request, d.seq",
	4, {REGCLASSOID, INT8OID, TEXTOID, TEXTOID}
};

/*
 * separation_conflicts: a query for the pairs of an aspect's Conflicts, a, b
 * and severity as text, each once; *relid is where they are.  The first two
 * columns are the pair; the severity is in the column of that name, else in
 * the third one, if there is one.
 */
char *
separation_conflicts(const DefinitionElement *element, Oid deployer, Oid *relid)
{
	const char *name = element_value(element, "Conflicts");
	List	   *names = qualified_names(name);
	Relation	rel;
	TupleDesc	desc;
	const char *columns[3] = {NULL, NULL, NULL};
	int			n = 0;
	char	   *result;
	UserSwitch	save;

	/* whoever asks for a right need not see what excludes what */
	become(&save, deployer, SECURITY_RESTRICTED_OPERATION);
	rel = table_openrv(makeRangeVarFromNameList(names), AccessShareLock);
	restore_user(&save);
	desc = RelationGetDescr(rel);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		if (n < 2)
			columns[n++] = NameStr(att->attname);
		else if (columns[2] == NULL || strcmp(NameStr(att->attname), "severity") == 0)
			columns[2] = NameStr(att->attname);
	}
	if (n < 2)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("relation \"%s\" has no two columns for pairs of rights", name),
				 errhint("Its first two columns are rights that exclude one another; one named severity says how much.")));
	result = psprintf("SELECT DISTINCT ON (least(p.a, p.b), greatest(p.a, p.b)) p.a, p.b, p.s"
					  " FROM (SELECT c.%s::text AS a, c.%s::text AS b, %s%s::text AS s FROM %s AS c) AS p"
					  " WHERE p.a <> p.b ORDER BY least(p.a, p.b), greatest(p.a, p.b), p.s, p.a",
					  quote_identifier(columns[0]), quote_identifier(columns[1]),
					  columns[2] ? "c." : "", columns[2] ? quote_identifier(columns[2]) : "NULL",
					  quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												 RelationGetRelationName(rel)));
	*relid = RelationGetRelid(rel);
	table_close(rel, NoLock);
	return result;
}

/* The expression that finds the pairs that are both among the rights of value. */
static char *
pairs_expression(const DefinitionElement *element, Oid deployer, Oid *relid)
{
	return psprintf("SQL:(SELECT jsonb_build_array(p.a, p.b, p.s)::text FROM (%s) AS p (a, b, s)"
					" WHERE p.a = ANY (value::text[]) AND p.b = ANY (value::text[]) ORDER BY p.a COLLATE \"C\", p.b COLLATE \"C\")",
					separation_conflicts(element, deployer, relid));
}

/* A column of a change's row as text; the row is loaded. */
static char *
column_text(Change *change, HeapTuple row, Relation rel, const char *column)
{
	int			nest;
	char	   *value;

	if (row == NULL)
		return NULL;
	nest = transmission_modes_begin_for(change->layout);
	value = row_text(rel, row, get_attnum(RelationGetRelid(rel), column));
	transmission_modes_end(nest);
	return value;
}

/* What an attribute names as column; errors if the table lacks it. */
static char *
named_column(Aspect *aspect, const char *attribute, Relation rel)
{
	const char *binding = element_value(aspect->element, attribute);
	char	   *column = binding ? binding_column(binding, RelationGetDescr(rel)) : NULL;

	if (binding && column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column for %s=\"%s\"",
						RelationGetRelationName(rel), attribute, binding)));
	return column;
}

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* One at a time looks what a person would hold; until the transaction ends. */
static void
lock_person(Oid conflicts, const char *person)
{
	LOCKTAG		tag;
	uint32		hash = hash_bytes((const unsigned char *) person, strlen(person));

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, conflicts, hash % PERSON_LOCKS, PERSON_LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* Who the draft is about and which right it asks for, by its columns. */
typedef struct Separation
{
	Request    *req;
	Aspect	   *aspect;
	Relation	rel;
	const char *binding;		/* column of the person */
	const char *right;			/* column of the right, or NULL */
	const char *person;
	List	   *rights;			/* that the person would hold */
	List	   *asked;			/* those that the request at hand asks for */
} Separation;

/* Add what a draft, if it is the person's, says that he would hold. */
static void
add_rights(Separation *s, Request *req, Change *change)
{
	char	   *right;
	ListCell   *lc;

	if (change->operation == CMD_DELETE || change->target != RelationGetRelid(s->rel))
		return;
	row_load(req, change, s->rel);
	if (!same_text(column_text(change, change->new_row, s->rel, s->binding), s->person))
		return;
	foreach(lc, expression_names(element_value(s->aspect->element, "Expression"),
								 s->req->workflow, req, change, "Expression"))
		if (!strings_contain(s->rights, lfirst(lc)))
			s->rights = lappend(s->rights, lfirst(lc));
	right = s->right ? column_text(change, change->new_row, s->rel, s->right) : NULL;
	if (right == NULL)
		return;
	if (!strings_contain(s->rights, right))
		s->rights = lappend(s->rights, right);
	if (req == s->req && !strings_contain(s->asked, right))
		s->asked = lappend(s->asked, right);
}

typedef struct Draft
{
	int64		request;
	int			seq;			/* of it, or of the first of a pack */
	int			count;
} Draft;

/* The drafts that may be the person's, of open requests made before this one. */
static List *
earlier_drafts(Separation *s)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[4];
	UserSwitch	save;
	List	   *drafts = NIL;
	int			n;

	values[0] = ObjectIdGetDatum(RelationGetRelid(s->rel));
	values[1] = Int64GetDatum(s->req->id);
	values[2] = CStringGetTextDatum(s->binding);
	values[3] = CStringGetTextDatum(s->person);
	store_begin(&save);
	n = store_exec(&drafts_plan, values, NULL, false);
	for (int i = 0; i < n; i++)
	{
		MemoryContext spicxt = MemoryContextSwitchTo(cxt);
		Draft	   *draft = palloc(sizeof(Draft));

		draft->request = spi_int64(SPI_tuptable->vals[i], 1);
		draft->seq = spi_int32(SPI_tuptable->vals[i], 2);
		draft->count = spi_int32(SPI_tuptable->vals[i], 3);
		drafts = lappend(drafts, draft);
		MemoryContextSwitchTo(spicxt);
	}
	store_end(&save);
	return drafts;
}

static void
count_rights(Separation *s)
{
	List	   *drafts = earlier_drafts(s);
	Request    *other = NULL;
	ListCell   *lc;
	ListCell   *lo;

	foreach(lc, request_changes(s->req))
		add_rights(s, s->req, (Change *) lfirst(lc));
	foreach(lc, drafts)
	{
		Draft	   *draft = (Draft *) lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (other == NULL || other->id != draft->request)
			other = request_read(draft->request);
		foreach(lo, other ? request_changes(other) : NIL)
		{
			Change	   *change = (Change *) lfirst(lo);

			if (change->seq >= draft->seq && change->seq < draft->seq + draft->count)
				add_rights(s, other, change);
		}
	}
}

/*
 * separation_fields: the n texts of an array in which an expression gives a
 * pair; NULL for null.
 */
char	  **
separation_fields(JsonbContainer *array, int n)
{
	char	  **fields = palloc(n * sizeof(char *));

	for (int i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		fields[i] = value && value->type == jbvString ?
			pnstrdup(value->val.string.val, value->val.string.len) : NULL;
	}
	return fields;
}

/* The pairs among the rights that the request at hand has a part in. */
static List *
find_pairs(Separation *s, Change *change, const char *expression)
{
	ExpressionVariables variables = {0, NULL};
	ExpressionVariables *outer = expression_variables;
	List	   *found = NIL;
	List	   *result;
	ListCell   *lc;

	variables.value = OidOutputFunctionCall(F_ARRAY_OUT, text_array_datum(s->rights));
	expression_variables = &variables;
	PG_TRY();
	{
		found = expression_names(expression, s->req->workflow, s->req, change, "Conflicts");
	}
	PG_FINALLY();
	{
		expression_variables = outer;
	}
	PG_END_TRY();

	result = NIL;
	foreach(lc, found)
	{
		char	  **fields = separation_fields(&json_from_text(lfirst(lc))->root, 3);

		if (s->right == NULL || strings_contain(s->asked, fields[0]) ||
			strings_contain(s->asked, fields[1]))
			result = lappend(result, fields);
	}
	return result;
}

/* "a" and "b" exclude one another (severity); ... */
static char *
describe_pairs(List *pairs)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, pairs)
	{
		char	  **fields = (char **) lfirst(lc);

		appendStringInfo(&buf, "%s\"%s\" and \"%s\" exclude one another", buf.len > 0 ? "; " : "",
						 fields[0], fields[1]);
		if (fields[2])
			appendStringInfo(&buf, " (severity %s)", fields[2]);
	}
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

/* For the history: the aspect and the pairs. */
static Jsonb *
pairs_json(Aspect *aspect, List *pairs)
{
	JsonbParseState *state = NULL;
	ListCell   *lc;

	json_open(&state, WJB_BEGIN_OBJECT);
	json_key(&state, "aspect");
	json_string(&state, WJB_VALUE, aspect->name);
	json_key(&state, "conflicts");
	json_open(&state, WJB_BEGIN_ARRAY);
	foreach(lc, pairs)
	{
		char	  **fields = (char **) lfirst(lc);

		json_open(&state, WJB_BEGIN_ARRAY);
		for (int i = 0; i < 3 && fields[i]; i++)
			json_string(&state, WJB_ELEM, fields[i]);
		(void) json_close(&state, WJB_END_ARRAY);
	}
	(void) json_close(&state, WJB_END_ARRAY);
	return JsonbValueToJsonb(json_close(&state, WJB_END_OBJECT));
}

/*
 * separation_run: the draft must not give its person rights that exclude one
 * another; or somebody more looks at it.
 */
void
separation_run(Request *req, Aspect *aspect, Change *change)
{
	const char *own = element_text(aspect->element, "Message", actor_name());
	Separation	s = {req, aspect};
	Oid			conflicts;
	char	   *expression;
	List	   *pairs = NIL;

	if (change->operation == CMD_DELETE)
		return;
	s.rel = row_open(change, AccessShareLock);
	row_load(req, change, s.rel);
	s.binding = named_column(aspect, "Binding", s.rel);
	s.right = named_column(aspect, "Right", s.rel);
	s.person = column_text(change, change->new_row, s.rel, s.binding);

	/* nobody's, no right, or one that the row gave before */
	if (s.person == NULL ||
		(s.right && (column_text(change, change->new_row, s.rel, s.right) == NULL ||
					 (change->operation == CMD_UPDATE &&
					  same_text(column_text(change, change->old_row, s.rel, s.binding), s.person) &&
					  same_text(column_text(change, change->old_row, s.rel, s.right),
								column_text(change, change->new_row, s.rel, s.right))))))
	{
		table_close(s.rel, NoLock);
		return;
	}
	expression = pairs_expression(aspect->element, deployer_role(req->workflow), &conflicts);
	lock_person(conflicts, s.person);
	count_rights(&s);
	if (list_length(s.rights) > 1)
		pairs = find_pairs(&s, change, expression);
	table_close(s.rel, NoLock);
	if (pairs == NIL)
		return;

	if (separation_reviews(aspect->element))
		separation_want_review(req, aspect, pairs_json(aspect, pairs), describe_pairs(pairs));
	else
		ereport(ERROR,
				(errcode(ERRCODE_WF_SEPARATION),
				 own ? errmsg_internal("%s", own) :
				 errmsg("\"%s\" would hold rights that exclude one another", s.person),
				 errdetail_internal("%s", describe_pairs(pairs)),
				 errhint("Rights that open requests made before this one ask for count as held.")));
}

/*
 * separation_fits: its columns and relation are there, and its expressions can
 * be read; errors if not.
 */
void
separation_fits(Workflow *wf, const DefinitionElement *element, Relation rel, Oid deployer)
{
	Oid			conflicts;

	element_binding_fits(wf, element, "Binding", rel);
	element_binding_fits(wf, element, "Right", rel);
	element_expressions_fit(wf, element, rel, deployer);
	expression_check(pairs_expression(element, deployer, &conflicts), EXPRESSION_NAMES, RelationGetRelid(rel),
					 deployer, psprintf("Conflicts of %s", element_place(wf, element)));
	expression_check(violation_expression(element, rel, deployer), EXPRESSION_NAMES, RelationGetRelid(rel),
					 deployer, psprintf("idflow.separation_violation for %s", element_place(wf, element)));
}
