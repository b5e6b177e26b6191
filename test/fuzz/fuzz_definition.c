/*-------------------------------------------------------------------------
 *
 * fuzz_definition.c
 *	  A libFuzzer target for the definition reader.
 *
 * The reader lives on PostgreSQL's memory contexts, its SQL parser and its
 * bracket around libxml2, so it is fuzzed where they are: this is a library
 * that a backend in single-user mode loads, and libFuzzer's loop runs inside
 * one function call.  See tools/fuzz.sh.
 *
 *-------------------------------------------------------------------------
 */
#define IDFLOW_REDZONE_C
#include "redzone.h"

#include <sanitizer/asan_interface.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "definition.h"

PG_FUNCTION_INFO_V1(idflow_fuzz_definition);

extern int	LLVMFuzzerRunDriver(int *argc, char ***argv,
								int (*target) (const uint8_t *data, size_t size));

/* ---------------------------------------------------------------- redzones */

#define REDZONE	16

typedef struct Zone
{
	char	   *start;
	char	   *end;
} Zone;

/* those that are guarded now, malloc'd */
static Zone *zones = NULL;
static int	nzones = 0;
static int	zones_size = 0;

static void *
guard(void *pointer, Size size)
{
	if (nzones == zones_size)
	{
		zones_size = zones_size ? zones_size * 2 : 1024;
		zones = realloc(zones, zones_size * sizeof(Zone));
		if (zones == NULL)
			abort();
	}
	zones[nzones].start = (char *) pointer + size;
	zones[nzones].end = (char *) pointer + size + REDZONE;
	ASAN_POISON_MEMORY_REGION(zones[nzones].start, REDZONE);
	nzones++;
	return pointer;
}

/* Before memory goes back to its context, of which the pointer may be any. */
static void
unguard(void *pointer)
{
	Size		space = GetMemoryChunkSpace(pointer);

	for (int i = nzones - 1; i >= 0; i--)
		if (zones[i].start >= (char *) pointer && zones[i].start < (char *) pointer + space)
		{
			ASAN_UNPOISON_MEMORY_REGION(zones[i].start, REDZONE);
			zones[i] = zones[--nzones];
			return;
		}
}

static void
unguard_all(void)
{
	while (nzones > 0)
	{
		nzones--;
		ASAN_UNPOISON_MEMORY_REGION(zones[nzones].start, REDZONE);
	}
}

void *
redzone_palloc(Size size)
{
	return guard(palloc(size + REDZONE), size);
}

void *
redzone_palloc0(Size size)
{
	return guard(palloc0(size + REDZONE), size);
}

void *
redzone_repalloc(void *pointer, Size size)
{
	unguard(pointer);
	return guard(repalloc(pointer, size + REDZONE), size);
}

void
redzone_pfree(void *pointer)
{
	unguard(pointer);
	pfree(pointer);
}

/* ------------------------------------------------------------------ target */

static void
must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "finding: %s\n", what);
	abort();
}

/* What deploy stores of a workflow is JSON, and comes back as it was. */
static void
check_elements(List *elements)
{
	StringInfoData once;
	StringInfoData again;
	List	   *copies = NIL;
	ListCell   *lc;

	initStringInfo(&once);
	elements_json(&once, elements);
	foreach(lc, elements)
	{
		DefinitionElement *element = (DefinitionElement *) lfirst(lc);
		StringInfoData attributes;
		StringInfoData children;

		initStringInfo(&attributes);
		initStringInfo(&children);
		attributes_json(&attributes, element->attributes);
		elements_json(&children, element->children);
		copies = lappend(copies,
						 element_from_jsonb(element->name,
											DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(attributes.data))),
											DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(children.data)))));
	}
	initStringInfo(&again);
	elements_json(&again, copies);
	/* jsonb has an order of its own for attributes: compare as jsonb */
	must(DatumGetBool(DirectFunctionCall2(jsonb_eq,
										  DirectFunctionCall1(jsonb_in, CStringGetDatum(once.data)),
										  DirectFunctionCall1(jsonb_in, CStringGetDatum(again.data)))),
		 "an element is stored as another one");
}

static void
check_definition(Definition *def, const char *text, size_t size)
{
	Definition *again = definition_read(text, size);
	ListCell   *lc;
	ListCell   *lo;

	must(def->nerrors > 0 || def->workflows != NIL, "neither workflow nor error");
	must(def->nerrors == 0 || def->workflows == NIL, "workflow in spite of errors");
	must(again->nerrors == def->nerrors && again->nwarnings == def->nwarnings &&
		 list_length(again->workflows) == list_length(def->workflows), "read otherwise when read again");
	foreach(lc, def->messages)
	{
		DefinitionMessage *message = (DefinitionMessage *) lfirst(lc);

		must(message->message[0] != '\0', "empty message");
		must(pg_verifymbstr(message->message, strlen(message->message), true), "message is not in the server's encoding");
	}
	forboth(lc, def->workflows, lo, again->workflows)
	{
		WorkflowDefinition *workflow = (WorkflowDefinition *) lfirst(lc);
		WorkflowDefinition *other = (WorkflowDefinition *) lfirst(lo);
		ListCell   *la;
		Definition *source;

		must(memcmp(workflow->digest, other->digest, DEFINITION_DIGEST_LENGTH) == 0, "two digests of one text");
		check_elements(workflow->elements);
		foreach(la, workflow->activities)
			check_elements(((ActivityDefinition *) lfirst(la))->elements);

		/* what export gives back is the same version */
		source = definition_read(workflow->source, strlen(workflow->source));
		must(source->nerrors == 0 && list_length(source->workflows) == 1, "the stored source can't be read");
		must(memcmp(((WorkflowDefinition *) linitial(source->workflows))->digest, workflow->digest,
					DEFINITION_DIGEST_LENGTH) == 0, "the stored source is another version");
	}
}

/* One input.  Whatever is wrong with it must be a message, never an error. */
static int
test_one(const uint8_t *data, size_t size)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt;
	char	   *text;

	/* a text value is valid in the server's encoding, and has no zeros */
	if (!pg_verifymbstr((const char *) data, size, true))
		return -1;
	cxt = AllocSetContextCreate(caller, "fuzz", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);

	/* not terminated, so that a read beyond its end is seen */
	text = malloc(size ? size : 1);
	memcpy(text, data, size);
	PG_TRY();
	{
		check_definition(definition_read(text, size), text, size);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);
		fprintf(stderr, "error: %s\n", CopyErrorData()->message);
		must(false, "reading a definition raised an error");
	}
	PG_END_TRY();
	free(text);
	unguard_all();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	return 0;
}

/*
 * idflow_fuzz_definition(text[]): run libFuzzer with these arguments.  It ends
 * the process.
 */
Datum
idflow_fuzz_definition(PG_FUNCTION_ARGS)
{
	Datum	   *elems;
	int			argc;
	char	  **argv;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &elems, NULL, &argc);
	argv = palloc0((argc + 2) * sizeof(char *));
	argv[0] = "fuzz";
	for (int i = 0; i < argc; i++)
		argv[i + 1] = TextDatumGetCString(elems[i]);
	argc++;
	LLVMFuzzerRunDriver(&argc, &argv, test_one);
	PG_RETURN_VOID();
}
