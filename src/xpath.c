/*-------------------------------------------------------------------------
 *
 * xpath.c
 *	  Expressions in XPath 1.0, by libxml2.
 *
 * libxml2 runs inside core's bracket (pg_xml_init .. pg_xml_done); what it
 * allocates stands in a struct that survives a longjmp and is freed on every
 * way out.  Its callbacks keep a code and neither allocate nor report.  It
 * can't be interrupted, so the number of its operations is limited.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/xml.h"

#include "xpath.h"

/* of an evaluation: about a second */
#define MAX_OPERATIONS	10000000

/* everything of libxml2's that an evaluation holds */
typedef struct XPathRun
{
	xmlParserCtxtPtr parser;
	xmlDocPtr	doc;
	xmlXPathContextPtr context;
	xmlXPathCompExprPtr compiled;
	xmlXPathObjectPtr object;
	xmlChar    *string;
	xmlGenericErrorFunc generic;	/* as it was before */
	void	   *generic_context;
	int			code;			/* of the first error */
} XPathRun;

#if LIBXML_VERSION >= 21200
#define XML_ERROR_ARGUMENT const xmlError *
#else
#define XML_ERROR_ARGUMENT xmlErrorPtr
#endif

/* Keep the first error.  Runs inside libxml2. */
static void
keep_error(void *arg, XML_ERROR_ARGUMENT error)
{
	XPathRun   *run = (XPathRun *) arg;

	if (run->code != 0 || error->level < XML_ERR_ERROR)
		return;
	run->code = error->code;
}

/* What libxml2 would write to the server's standard error.  Runs inside it. */
static void
be_silent(void *arg, const char *format,...)
{
}

static void
silence(XPathRun *run)
{
	run->generic = xmlGenericError;
	run->generic_context = xmlGenericErrorContext;
	xmlSetGenericErrorFunc(NULL, be_silent);
}

static void
free_run(XPathRun *run)
{
	if (run->generic)
		xmlSetGenericErrorFunc(run->generic_context, run->generic);
	if (run->string)
		xmlFree(run->string);
	if (run->object)
		xmlXPathFreeObject(run->object);
	if (run->compiled)
		xmlXPathFreeCompExpr(run->compiled);
	if (run->context)
		xmlXPathFreeContext(run->context);
	if (run->doc)
		xmlFreeDoc(run->doc);
	if (run->parser)
		xmlFreeParserCtxt(run->parser);
}

/*
 * What the first error of a run was.  libxml2 gives codes; its own texts for
 * them are missing in many versions.
 */
static const char *
error_text(XPathRun *run)
{
	switch (run->code - XML_XPATH_EXPRESSION_OK)
	{
		case XPATH_NUMBER_ERROR:
			return "invalid number";
		case XPATH_UNFINISHED_LITERAL_ERROR:
			return "unterminated string";
		case XPATH_START_LITERAL_ERROR:
			return "a string is missing";
		case XPATH_VARIABLE_REF_ERROR:
			return "invalid reference to a variable";
		case XPATH_UNDEF_VARIABLE_ERROR:
			return "there are no variables";
		case XPATH_INVALID_PREDICATE_ERROR:
			return "invalid condition in brackets";
		case XPATH_UNCLOSED_ERROR:
			return "a closing parenthesis is missing";
		case XPATH_UNKNOWN_FUNC_ERROR:
			return "there is no such function";
		case XPATH_INVALID_OPERAND:
			return "invalid operand";
		case XPATH_INVALID_TYPE:
			return "value of another type expected";
		case XPATH_INVALID_ARITY:
			return "wrong number of arguments";
		case XPATH_UNDEF_PREFIX_ERROR:
			return "undefined namespace prefix";
		case XPATH_INVALID_CHAR_ERROR:
		case XPATH_ENCODING_ERROR:
			return "invalid character";
		case XPATH_STACK_ERROR:
#if LIBXML_VERSION >= 20910
		case XPATH_RECURSION_LIMIT_EXCEEDED:
#endif
			return "expression is nested too deeply";
		default:
			return "syntax error";
	}
}

static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory")));
}

/* Make the context, over a document or over none, and compile. */
static void
compile(XPathRun *run, const char *expression)
{
	char	   *utf8 = pg_server_to_any(expression, strlen(expression), PG_UTF8);

	run->context = xmlXPathNewContext(run->doc);
	if (run->context == NULL)
		out_of_memory();
	run->context->error = (xmlStructuredErrorFunc) keep_error;
	run->context->userData = run;
#if LIBXML_VERSION >= 20910
	run->context->opLimit = MAX_OPERATIONS;
#endif
	if (xmlXPathRegisterNs(run->context, (const xmlChar *) "p",
						   (const xmlChar *) REQUEST_NAMESPACE) != 0)
		out_of_memory();
	run->compiled = xmlXPathCtxtCompile(run->context, (const xmlChar *) utf8);
}

/*
 * xpath_syntax_error: what is wrong with an expression's syntax, in the
 * current memory context; NULL if nothing is.
 */
char *
xpath_syntax_error(const char *expression)
{
	XPathRun   *run = (XPathRun *) palloc0(sizeof(XPathRun));
	PgXmlErrorContext *errcxt = pg_xml_init(PG_XML_STRICTNESS_ALL);
	char	   *result = NULL;

	PG_TRY();
	{
		silence(run);
		compile(run, expression);
		if (run->compiled == NULL)
			result = pstrdup(error_text(run));
	}
	PG_CATCH();
	{
		free_run(run);
		pg_xml_done(errcxt, true);
		PG_RE_THROW();
	}
	PG_END_TRY();
	free_run(run);
	pg_xml_done(errcxt, false);
	return result;
}

static void
report_error(XPathRun *run)
{
#if LIBXML_VERSION >= 20910
	if (run->code == XML_XPATH_EXPRESSION_OK + XPATH_OP_LIMIT_EXCEEDED)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("XPath expression takes more than %d operations", MAX_OPERATIONS),
				 errhint("Write paths from the root instead of //, and conditions that are not nested.")));
#endif
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("could not evaluate XPath expression: %s", error_text(run)),
			 errhint("Functions are those of XPath 1.0; the one prefix is p, for the namespace of the request's document.")));
}

/* A string of libxml2's, kept by the run meanwhile, as a name for the list. */
static List *
add_string(XPathRun *run, List *list, xmlChar *string, MemoryContext cxt)
{
	MemoryContext oldcxt;
	char	   *copy;

	run->string = string;
	if (string == NULL)
		out_of_memory();
	oldcxt = MemoryContextSwitchTo(cxt);
	copy = pstrdup((const char *) string);
	copy = pg_any_to_server(copy, strlen(copy), PG_UTF8);
	if (copy[0] != '\0' && !strings_contain(list, copy))
		list = lappend(list, copy);
	MemoryContextSwitchTo(oldcxt);
	xmlFree(string);
	run->string = NULL;
	return list;
}

static List *
convert(XPathRun *run, ExpressionKind kind, MemoryContext cxt)
{
	List	   *result = NIL;
	xmlNodeSetPtr nodes;

	if (kind == EXPRESSION_BOOL)
		return list_make1(xmlXPathCastToBoolean(run->object) ? "t" : "f");
	nodes = run->object->type == XPATH_NODESET ? run->object->nodesetval : NULL;
	if (kind == EXPRESSION_TEXT || run->object->type != XPATH_NODESET)
		return add_string(run, NIL, xmlXPathCastToString(run->object), cxt);
	for (int i = 0; nodes && i < nodes->nodeNr; i++)
	{
		CHECK_FOR_INTERRUPTS();
		result = add_string(run, result, xmlXPathCastNodeToString(nodes->nodeTab[i]), cxt);
	}
	return result;
}

/*
 * xpath_evaluate: evaluate an expression, without its prefix, over a document
 * in the server's encoding.  The result is a List of char * in the current
 * memory context: of a condition "t" or "f"; else without empty strings and
 * repetitions.  Errors if it can't be evaluated.
 */
List *
xpath_evaluate(const char *expression, ExpressionKind kind, const char *document)
{
	MemoryContext cxt = CurrentMemoryContext;
	XPathRun   *run = (XPathRun *) palloc0(sizeof(XPathRun));
	char	   *utf8 = pg_server_to_any(document, strlen(document), PG_UTF8);
	PgXmlErrorContext *errcxt = pg_xml_init(PG_XML_STRICTNESS_ALL);
	List	   *volatile result = NIL;

	PG_TRY();
	{
		silence(run);
		run->parser = xmlNewParserCtxt();
		if (run->parser == NULL)
			out_of_memory();

		/* the document is ours: it has no DTD, and its values may be large */
		run->doc = xmlCtxtReadMemory(run->parser, utf8, strlen(utf8), NULL, "UTF-8",
									 XML_PARSE_NONET | XML_PARSE_HUGE);
		if (run->doc == NULL)
			xml_ereport(errcxt, ERROR, ERRCODE_INTERNAL_ERROR,
						"could not read the document of the request");
		compile(run, expression);
		if (run->compiled == NULL)
			report_error(run);
		run->context->node = (xmlNodePtr) run->doc;
		run->object = xmlXPathCompiledEval(run->compiled, run->context);
		if (run->object == NULL || run->code != 0)
			report_error(run);
		result = convert(run, kind, cxt);
	}
	PG_CATCH();
	{
		free_run(run);
		pg_xml_done(errcxt, true);
		PG_RE_THROW();
	}
	PG_END_TRY();
	free_run(run);
	pg_xml_done(errcxt, false);
	return result;
}
