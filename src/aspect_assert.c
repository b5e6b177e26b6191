/*-------------------------------------------------------------------------
 *
 * aspect_assert.c
 *	  AssertValueAspect and AssertValueRequiredAspect: what must hold for an
 *	  activity to enter a state or to leave it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/rel.h"

#include "aspect.h"

/*
 * aspect_refuse: the transition does not take place: for the aspect's Message,
 * in the language of whoever acts, or for the message given.
 */
void
aspect_refuse(Request *req, Aspect *aspect, const char *message)
{
	const char *own = element_text(aspect->element, "Message", actor_name());

	ereport(ERROR,
			(errcode(ERRCODE_WF_ASPECT),
			 errmsg_internal("%s", own ? own : message),
			 own ? errdetail_internal("%s", psprintf("%c%s.", pg_toupper((unsigned char) message[0]),
													 message + 1)) : 0));
}

/*
 * assert_value_run: Expression must be true; null is not.  A deletion gives no
 * values.
 */
void
assert_value_run(Request *req, Aspect *aspect, Change *change)
{
	if (change->operation != CMD_DELETE &&
		!expression_bool(element_value(aspect->element, "Expression"), req->workflow, req,
						 change, "Expression"))
		aspect_refuse(req, aspect,
					  psprintf("the value of %s is not accepted",
							   element_value(aspect->element, "Binding")));
}

/*
 * assert_value_required_run: the drafted row has a value in the column of
 * Binding; an empty text is none.  A deletion gives no values.
 */
void
assert_value_required_run(Request *req, Aspect *aspect, Change *change)
{
	Relation	rel;
	char	   *value;
	AttrNumber	attnum;

	if (change->operation == CMD_DELETE)
		return;
	rel = row_open(change, AccessShareLock);
	row_load(req, change, rel);
	attnum = row_attnum(change->layout, rel,
						aspect_position(aspect, "Binding", change, rel), false);
	value = row_text(rel, change->new_row, attnum);
	table_close(rel, NoLock);
	if (value == NULL || value[0] == '\0')
		aspect_refuse(req, aspect,
					  psprintf("a value of %s is required",
							   element_value(aspect->element, "Binding")));
}
