/*-------------------------------------------------------------------------
 *
 * lasting.c
 *	  Statements whose effects stay in the session.
 *
 * A trigger that runs at an apply must not leave behind what is later run as
 * whoever the session belongs to.  This is what core forbids in a
 * security-restricted operation, and temporary types, whose names go before
 * others, too.  An apply as a whole is no such operation, because there
 * deferred constraints could not be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/parsenodes.h"

#include "apply.h"

/* Would this relation be a temporary one? */
static bool
is_temporary(RangeVar *relation)
{
	return relation->relpersistence == RELPERSISTENCE_TEMP ||
		isTempNamespace(RangeVarGetCreationNamespace(relation));
}

/* Would an object of this name be in the session's temporary schema? */
static bool
is_temporary_name(List *names)
{
	char	   *name;

	return isTempNamespace(QualifiedNameGetCreationNamespace(names, &name));
}

/*
 * statement_lasting_effect: what of a utility statement would stay in the
 * session, as "create a temporary table"; NULL if nothing.
 */
const char *
statement_lasting_effect(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DeclareCursorStmt:
			return ((DeclareCursorStmt *) statement)->options & CURSOR_OPT_HOLD ?
				"declare a cursor WITH HOLD" : NULL;
		case T_ClosePortalStmt:
			return "close a cursor";
		case T_PrepareStmt:
			return "PREPARE a statement";
		case T_DeallocateStmt:
			return "DEALLOCATE a statement";
		case T_ListenStmt:
			return "LISTEN";
		case T_UnlistenStmt:
			return "UNLISTEN";
		case T_DiscardStmt:
			return "DISCARD";
		case T_CreateStmt:
			return is_temporary(((CreateStmt *) statement)->relation) ?
				"create a temporary table" : NULL;
		case T_CreateTableAsStmt:
			return is_temporary(((CreateTableAsStmt *) statement)->into->rel) ?
				"create a temporary table" : NULL;
		case T_ViewStmt:
			return is_temporary(((ViewStmt *) statement)->view) ?
				"create a temporary view" : NULL;
		case T_CreateSeqStmt:
			return is_temporary(((CreateSeqStmt *) statement)->sequence) ?
				"create a temporary sequence" : NULL;
		case T_CompositeTypeStmt:
			return is_temporary(((CompositeTypeStmt *) statement)->typevar) ?
				"create a temporary type" : NULL;
		case T_CreateDomainStmt:
			return is_temporary_name(((CreateDomainStmt *) statement)->domainname) ?
				"create a temporary type" : NULL;
		case T_CreateEnumStmt:
			return is_temporary_name(((CreateEnumStmt *) statement)->typeName) ?
				"create a temporary type" : NULL;
		case T_CreateRangeStmt:
			return is_temporary_name(((CreateRangeStmt *) statement)->typeName) ?
				"create a temporary type" : NULL;
		default:
			return NULL;
	}
}
