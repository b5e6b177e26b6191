/*-------------------------------------------------------------------------
 *
 * notification.c
 *	  NotificationAspect: messages to people, one row of idflow.notification
 *	  for each recipient.
 *
 * Subject and body are made when the message is written, in the recipient's
 * language.  It leaves with its transaction: whoever sends mail reads the
 * table, and is told of news by idflow.run_due(), never by the transaction
 * that decides.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "access.h"
#include "aspect.h"
#include "definition.h"
#include "deputy.h"
#include "directory.h"
#include "language.h"
#include "notification.h"
#include "separation.h"
#include "task.h"
#include "tenant.h"

static int	setting_notification_limit = 100;

/* An aspect that waits for the people whom the request asks next. */
typedef struct Waiting
{
	Aspect	   *aspect;
	Change	   *change;
	bool		cc;
} Waiting;

static StorePlan insert_notification = {
	"INSERT INTO idflow.notification (request, aspect, activity, activity_state, principal, address, cc,"
	" language, subject, body, template, css, binding)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
	13, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID}
};

static StorePlan select_performer = {
	"SELECT e.actor FROM idflow.event e WHERE e.request OPERATOR(pg_catalog.=) $1"
	" AND e.activity OPERATOR(pg_catalog.=) $2 AND e.from_state OPERATOR(pg_catalog.=) $3"
	" AND e.to_state OPERATOR(pg_catalog.<>) e.from_state"
	" ORDER BY e.seq DESC LIMIT 1",
	3, {INT8OID, TEXTOID, TEXTOID}
};

/*
 * Declare the module's settings; called by _PG_init.
 */
void
notification_init(void)
{
	DefineCustomIntVariable("idflow.notification_limit",
							"Sets how many people one notification is written to at most.",
							"Who is left out is not told; the request's history says how many they are.",
							&setting_notification_limit, 100, 1, 100000,
							PGC_SUSET, 0, NULL, NULL, NULL);
}

/* The text of an expression in a language, or NULL. */
static char *
numbered_expression(Request *req, Aspect *aspect, Change *change, const char *stem, int number)
{
	const char *expression = numbered_text(aspect->element, stem, number);

	return expression ? expression_text(expression, req->workflow, req, change, stem) : NULL;
}

/* Write the message to one recipient: a principal, or a bare address. */
static void
write_to(Request *req, Aspect *aspect, Change *change, const char *recipient, bool cc)
{
	bool		is_address = strchr(recipient, '@') != NULL;
	char	   *email = NULL;
	char	   *language;
	int			number = language_number(recipient);
	Activity   *activity = request_activity(req);
	Datum		values[13];
	char		nulls[14] = "             ";
	UserSwitch	save;

	directory_person(recipient, &email, &language);
	/* a name is kept to its tenant; an address is what the definition says */
	if ((email || !is_address) && !request_is_of(req, recipient) &&
		!tenant_admits(req->tenant, recipient))
		return;
	values[0] = Int64GetDatum(req->id);
	values[1] = CStringGetTextDatum(aspect->name);
	values[2] = text_datum(activity ? activity->name : NULL, &nulls[2]);
	values[3] = text_datum(request_full_state(req), &nulls[3]);
	values[4] = text_datum(is_address && email == NULL ? NULL : recipient, &nulls[4]);
	values[5] = text_datum(email ? email : is_address ? recipient : NULL, &nulls[5]);
	values[6] = BoolGetDatum(cc);
	values[7] = Int32GetDatum(number);
	values[8] = text_datum(numbered_expression(req, aspect, change, "SubjectExpression", number), &nulls[8]);
	values[9] = text_datum(numbered_expression(req, aspect, change, "BodyExpression", number), &nulls[9]);
	values[10] = text_datum(numbered_text(aspect->element, "RazorFile", number), &nulls[10]);
	values[11] = text_datum(element_value(aspect->element, "CssFile"), &nulls[11]);
	values[12] = binding_datum(request_binding(req, recipient), &nulls[12]);
	store_begin(&save);
	store_exec(&insert_notification, values, nulls, false);
	store_end(&save);
}

static void
write_to_all(Request *req, Aspect *aspect, Change *change, List *recipients, List *copies)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, recipients)
		if (n++ < setting_notification_limit)
			write_to(req, aspect, change, lfirst(lc), false);
	foreach(lc, copies)
		if (!strings_contain(recipients, lfirst(lc)) && n++ < setting_notification_limit)
			write_to(req, aspect, change, lfirst(lc), true);
	if (n > setting_notification_limit)
		request_event(req, req->acting, "workflow", "NotificationLimit",
					  psprintf("aspect %s: %d of %d people are told", aspect->name,
							   setting_notification_limit, n));
}

static List *
add_name(List *names, const char *name)
{
	if (name == NULL || name[0] == '\0' || strings_contain(names, name))
		return names;
	return lappend(names, pstrdup(name));
}

static List *
add_all(List *names, List *more)
{
	ListCell   *lc;

	foreach(lc, more)
		names = add_name(names, lfirst(lc));
	return names;
}

/* Names and addresses as they are written in an attribute. */
static List *
split_addresses(const char *addresses)
{
	List	   *result = NIL;

	while (*(addresses += strspn(addresses, ",; ")) != '\0')
	{
		size_t		len = strcspn(addresses, ",; ");

		result = add_name(result, pnstrdup(addresses, len));
		addresses += len;
	}
	return result;
}

/* The value of a column of the drafted row, or of the row that goes. */
static char *
bound_value(Aspect *aspect, Request *req, const DefinitionElement *recipient, Change *change)
{
	Relation	rel = row_open(change, AccessShareLock);
	char	   *column = binding_column(element_value(recipient, "Binding"), RelationGetDescr(rel));
	HeapTuple	row;
	char	   *value = NULL;

	row_load(req, change, rel);
	row = change->new_row ? change->new_row : change->old_row;
	for (int i = 0; column && i < RelationGetDescr(rel)->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), column) == 0)
			value = row_text(rel, row, att->attnum);
	}
	table_close(rel, NoLock);
	return value;
}

/* Who last took an activity out of a state. */
static char *
performer(Request *req, const DefinitionElement *recipient)
{
	MemoryContext cxt = CurrentMemoryContext;
	const char *name = element_value(recipient, "Activity");
	const char *colon = name ? strchr(name, ':') : NULL;
	Activity   *activity = workflow_activity_named(req->workflow, colon ? colon + 1 : name);
	const char *state = element_value(recipient, "ActivityState");
	char	   *full;
	char	   *result = NULL;
	Datum		values[3];
	UserSwitch	save;

	if (activity == NULL)
		return NULL;
	full = template_state_name(activity->template, template_state(activity->template, state));
	for (int i = list_length(req->events) - 1; i >= 0; i--)
	{
		Event	   *event = (Event *) list_nth(req->events, i);

		if (event->activity && strcmp(event->activity, activity->name) == 0 &&
			event->from_state && strcmp(event->from_state, full) == 0 &&
			event->to_state && strcmp(event->to_state, full) != 0)
			return pstrdup(event->actor);
	}
	values[0] = Int64GetDatum(req->id);
	values[1] = CStringGetTextDatum(activity->name);
	values[2] = CStringGetTextDatum(full);
	store_begin(&save);
	if (store_exec(&select_performer, values, NULL, false) > 0)
		result = MemoryContextStrdup(cxt, spi_text(SPI_tuptable->vals[0], 1));
	store_end(&save);
	return result;
}

/*
 * notification_run: write the message to the aspect's recipients.  Those whom
 * the request asks next are not known yet: notify_asked() writes to them.
 */
void
notification_run(Request *req, Aspect *aspect, Change *change)
{
	List	   *recipients = NIL;
	List	   *copies = NIL;
	ListCell   *lc;

	foreach(lc, element_children_named(aspect->element, "Recipient"))
	{
		DefinitionElement *recipient = (DefinitionElement *) lfirst(lc);
		const char *type = element_value(recipient, "Type");
		bool		cc = element_boolean(recipient, "IsCC", false);
		List	   *names = NIL;

		if (strcmp(type, "Actor") == 0)
		{
			Waiting    *waiting = (Waiting *) palloc(sizeof(Waiting));

			waiting->aspect = aspect;
			waiting->change = change;
			waiting->cc = cc;
			req->notify_asked = lappend(req->notify_asked, waiting);
		}
		else if (strcmp(type, "Performer") == 0)
			names = add_name(NIL, performer(req, recipient));
		else if (strcmp(type, "Binding") == 0)
			names = add_name(NIL, bound_value(aspect, req, recipient, change));
		else if (strcmp(type, "Hardcoded") == 0)
			names = split_addresses(element_value(recipient, "EmailAddresses"));
		else if (strcmp(type, "Expression") == 0)
			names = expression_names(element_value(recipient, "Expression"), req->workflow, req,
									 change, "Expression");
		else
		{
			const char *profile = element_value(recipient, "Profile");
			List	   *profiles = profile ? list_make1(unconstify(char *, profile)) :
				access_notified_profiles(req, aspect->state);
			ListCell   *lp;

			foreach(lp, profiles)
				names = add_all(names, directory_holders(lfirst(lp), req->tenant));
		}
		if (cc)
			copies = add_all(copies, names);
		else
			recipients = add_all(recipients, names);
	}
	write_to_all(req, aspect, change, recipients, copies);
}

/*
 * Those who stand in for people who are asked, and may act in their place now.
 */
static List *
deputies_of(Request *req, List *asked)
{
	List	   *barred = request_activity(req)->template->is_review ? deputy_barred(req) : NIL;
	List	   *result = NIL;
	ListCell   *lc;
	ListCell   *ls;

	foreach(lc, asked)
		if (!strings_contain(barred, lfirst(lc)) && !separated_from(req, lfirst(lc)))
			foreach(ls, stand_ins(lfirst(lc), false, req->workflow->name, barred, true))
				if (!strings_contain(asked, ((StandIn *) lfirst(ls))->principal) &&
					tenant_admits(req->tenant, ((StandIn *) lfirst(ls))->principal))
					result = add_name(result, ((StandIn *) lfirst(ls))->principal);
	return result;
}

/* What an override says, by language, in UTF-8; the first where there is none in it. */
static const struct
{
	const char *language;
	const char *subject;		/* of the request's number */
	const char *body;			/* of the admin's name and his reason */
}			override_texts[] = {
	{"en", "Request " INT64_FORMAT " was overridden", "%s decided it in your place: %s"},
	{"de", "Antrag " INT64_FORMAT " wurde an Ihrer Stelle entschieden", "Entschieden von %s: %s"},
	{"fr", "La demande " INT64_FORMAT " a \303\251t\303\251 d\303\251cid\303\251e \303\240 votre place", "D\303\251cision de %s : %s"},
	{"es", "La solicitud " INT64_FORMAT " se ha decidido en su lugar", "Decidida por %s: %s"},
	{"it", "La richiesta " INT64_FORMAT " \303\250 stata decisa al suo posto", "Decisa da %s: %s"},
};

static int
override_text(int number)
{
	const char *language = language_name(number);

	for (int i = 0; language && i < lengthof(override_texts); i++)
		if (language_matches(language, override_texts[i].language) &&
			(GetDatabaseEncoding() == PG_UTF8 ||
			 (pg_is_ascii(override_texts[i].subject) && pg_is_ascii(override_texts[i].body))))
			return i;
	return 0;
}

/* Write to a principal what no aspect of the definition says. */
static void
tell(Request *req, const char *principal, const char *aspect, int number, const char *subject,
	 const char *body)
{
	Activity   *activity = request_activity(req);
	char	   *email;
	char	   *language;
	Datum		values[13];
	char		nulls[14] = "             ";
	UserSwitch	save;

	directory_person(principal, &email, &language);
	values[0] = Int64GetDatum(req->id);
	values[1] = CStringGetTextDatum(aspect);
	values[2] = text_datum(activity ? activity->name : NULL, &nulls[2]);
	values[3] = text_datum(request_full_state(req), &nulls[3]);
	values[4] = CStringGetTextDatum(principal);
	values[5] = text_datum(email, &nulls[5]);
	values[6] = BoolGetDatum(false);
	values[7] = Int32GetDatum(number);
	values[8] = CStringGetTextDatum(subject);
	values[9] = CStringGetTextDatum(body);
	nulls[10] = nulls[11] = 'n';
	values[12] = binding_datum(request_binding(req, principal), &nulls[12]);
	store_begin(&save);
	store_exec(&insert_notification, values, nulls, false);
	store_end(&save);
}

/*
 * notify_told: tell people, by their candidate keys, of a request, whatever
 * aspects say; where it asks them also those who stand in for them.  aspect is
 * what sends it; texts may have a body for each language: Message_L1 and so on.
 */
void
notify_told(Request *req, List *keys, bool asked, const char *aspect, const char *subject,
			const char *body, const DefinitionElement *texts)
{
	List	   *people = add_all(NIL, candidate_people(req, keys));
	ListCell   *lc;

	foreach(lc, asked ? list_concat(people, deputies_of(req, people)) : people)
	{
		const char *principal = lfirst(lc);
		int			number = language_number(principal);
		const char *text = numbered_text(texts, "Message", number);

		tell(req, principal, aspect, number, subject, text ? text : body);
	}
}

/*
 * notify_passed_over: an admin decides in place of those whom the open task
 * asks, by their candidate keys: tell them, and those who stand in for them,
 * whatever the definition says.
 */
void
notify_passed_over(Request *req, List *keys, const char *actor, const char *reason)
{
	List	   *asked = add_all(NIL, candidate_people(req, keys));
	ListCell   *lc;

	foreach(lc, list_concat(asked, deputies_of(req, asked)))
	{
		const char *principal = lfirst(lc);
		int			number = language_number(principal);
		int			text = override_text(number);

		if (strcmp(principal, actor) != 0)
			tell(req, principal, "Override", number, psprintf(override_texts[text].subject, req->id),
				 psprintf(override_texts[text].body, actor, reason));
	}
}

/*
 * notify_asked: the request asks people now, by their candidate keys: write
 * what aspects have for them, and for those who stand in for them.
 */
void
notify_asked(Request *req, List *keys)
{
	List	   *asked;
	List	   *pending = req->notify_asked;
	ListCell   *lc;

	if (pending == NIL)
		return;
	req->notify_asked = NIL;
	asked = add_all(NIL, candidate_people(req, keys));
	asked = list_concat(asked, deputies_of(req, asked));
	foreach(lc, pending)
	{
		Waiting    *waiting = (Waiting *) lfirst(lc);

		write_to_all(req, waiting->aspect, waiting->change, waiting->cc ? NIL : asked,
					 waiting->cc ? asked : NIL);
	}
}

/*
 * definition_check_notification: a notification has a recipient, and each says
 * who he is.
 */
void
definition_check_notification(Definition *def, DefinitionElement *aspect)
{
	static const struct
	{
		const char *type;
		const char *attribute;
		const char *example;
	}			needs[] = {
		{"Performer", "Activity", "Workflow:Activity"},
		{"Performer", "ActivityState", "ReviewPending"},
		{"Binding", "Binding", "email"},
		{"Hardcoded", "EmailAddresses", "hr@example.org"},
		{"Expression", "Expression", "SQL:new.manager"}
	};
	List	   *recipients = element_children_named(aspect, "Recipient");
	ListCell   *lc;

	if (recipients == NIL)
		definition_error(def, ERRCODE_WF_DEFINITION, aspect->line, aspect->name,
						 "Put a <Recipient Type=\"Actor\"/> into it.",
						 "notification has no recipient");
	if (element_value(aspect, "SubjectExpression_L1") == NULL &&
		element_value(aspect, "BodyExpression_L1") == NULL &&
		element_value(aspect, "RazorFile_L1") == NULL)
		definition_error(def, ERRCODE_WF_DEFINITION, aspect->line, aspect->name,
						 "Write SubjectExpression_L1=\"Literal:...\" and BodyExpression_L1=\"SQL:...\".",
						 "notification says nothing");
	foreach(lc, recipients)
	{
		DefinitionElement *recipient = (DefinitionElement *) lfirst(lc);
		const char *type = element_value(recipient, "Type");

		for (int i = 0; type && i < lengthof(needs); i++)
			if (strcmp(type, needs[i].type) == 0 &&
				element_value(recipient, needs[i].attribute) == NULL)
				definition_error(def, ERRCODE_WF_DEFINITION, recipient->line, recipient->name,
								 psprintf("Write %s=\"%s\".", needs[i].attribute, needs[i].example),
								 "a recipient of type %s needs the attribute %s", type,
								 needs[i].attribute);
	}
}
