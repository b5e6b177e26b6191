/*-------------------------------------------------------------------------
 *
 * definition_xml.c
 *		Reading definitions with libxml2.
 *
 * A document is parsed inside core's own bracket (pg_xml_init .. pg_xml_done),
 * copied into a plain tree of palloc'd structs, and freed; nothing else of the
 * library sees a libxml2 object.  Whoever writes the document may be hostile:
 *
 *	- its size, and the number of an element's attributes, are limited before
 *	  libxml2 sees it;
 *	- a document type declaration ends the parse at its first word, so no
 *	  entity is ever declared, let alone expanded or fetched;
 *	- no network, and core's entity loader reads no file either;
 *	- libxml2's own limits on depth and node size hold (no XML_PARSE_HUGE).
 *
 * Callbacks of libxml2 must not ereport, nor palloc: they collect into a
 * fixed buffer.  RELAX NG is validated with handlers of our own; XSD is not
 * used because it crashes under core's handler.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifndef USE_LIBXML
#error "idflow needs a PostgreSQL that was built --with-libxml"
#endif

#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/relaxng.h>
#include <libxml/SAX2.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/xml.h"

#include "definition.h"
#include "definition_xml.h"
#include "errcodes.h"
#include "ready.h"

/* no DTD, no entities, no network; lines beyond 65535 */
#if LIBXML_VERSION >= 21300
#define PARSE_OPTIONS \
	(XML_PARSE_NONET | XML_PARSE_NO_XXE | XML_PARSE_IGNORE_ENC | XML_PARSE_BIG_LINES)
#else
#define PARSE_OPTIONS \
	(XML_PARSE_NONET | XML_PARSE_IGNORE_ENC | XML_PARSE_BIG_LINES)
#endif

#define XSI_NAMESPACE	"http://www.w3.org/2001/XMLSchema-instance"

#define MAX_ATTRIBUTES		100 /* of an element */
#define MAX_WORKFLOWS_OF_ASPECT	100 /* each has a copy of it */

/*
 * A document being read.  It is palloc'd, so what its pointers say survives a
 * longjmp; whatever of libxml2's they hold is freed by free_resources().
 */
typedef struct XmlReader
{
	Definition *def;			/* where messages go */
	const char *source;			/* in UTF-8 */
	size_t		source_len;
	XmlMessages messages;
	DefinitionSource scan;
	const xmlChar *root_namespace;	/* NULL: none */

	xmlParserCtxtPtr parser;
	xmlDocPtr	doc;
	xmlRelaxNGValidCtxtPtr validator;
	xmlDocPtr	copy;
	xmlBufferPtr buffer;
	xmlChar    *canonical;
} XmlReader;

/* The schema, compiled once in a backend's life; malloc'd by libxml2. */
static xmlRelaxNGPtr schema = NULL;

static DefinitionElement *read_document(XmlReader *reader,
										PgXmlErrorContext *errcxt);
static void free_resources(XmlReader *reader);
static void stop_at_dtd(void *arg, const xmlChar *name,
						const xmlChar *public_id, const xmlChar *system_id);
static void compile_schema(void);
static void validate_document(XmlReader *reader);
static DefinitionElement *copy_element(XmlReader *reader, xmlNodePtr node,
									   DefinitionElement *parent);
static void copy_attributes(XmlReader *reader, xmlNodePtr node,
							DefinitionElement *element);
static void copy_parts(XmlReader *reader, xmlNodePtr node,
					   DefinitionElement *element);
static DefinitionPart *copy_part(XmlReader *reader, xmlNodePtr node,
								 const char *workflow, bool is_aspect);
static void remove_insignificant(xmlNodePtr node);
static char *from_utf8(const char *text);

#if LIBXML_VERSION < 21300
static void
collect_parser_message(void *arg, xmlErrorPtr error)
{
	collect_message(((xmlParserCtxtPtr) arg)->_private, error);
}
#endif

/*
 * Read and check a document, and return its root element in the current
 * memory context; NULL if it is not a well-formed document, and then def has
 * an error.
 *
 * text is in the server's encoding and need not be terminated by a zero.
 */
DefinitionElement *
definition_xml_read(Definition *def, const char *text, size_t len)
{
	XmlReader  *reader = palloc0(sizeof(XmlReader));
	DefinitionElement *root;
	PgXmlErrorContext *errcxt;
	int			line;

	reader->def = def;

	/*
	 * libxml2 is told that the text is UTF-8, whatever its declaration says:
	 * the server has converted it already.
	 */
	reader->source = pg_server_to_any(text, len, PG_UTF8);
	reader->source_len = reader->source == text ? len : strlen(reader->source);

	line = source_excess_attributes(reader->source, reader->source_len, MAX_ATTRIBUTES);
	if (line > 0)
	{
		definition_error(def, ERRCODE_PROGRAM_LIMIT_EXCEEDED, line, NULL,
						 "Remove the attributes that are not part of the language.",
						 "element has more than %d attributes", MAX_ATTRIBUTES);
		return NULL;
	}

	errcxt = pg_xml_init(PG_XML_STRICTNESS_ALL);

	PG_TRY();
	{
		compile_schema();
		root = read_document(reader, errcxt);
	}
	PG_CATCH();
	{
		free_resources(reader);
		pg_xml_done(errcxt, true);
		PG_RE_THROW();
	}
	PG_END_TRY();

	free_resources(reader);
	pg_xml_done(errcxt, false);

	return root;
}

/*
 * Parse, copy and validate.  May throw, leaving it to the caller to free what
 * the reader holds.
 */
static DefinitionElement *
read_document(XmlReader *reader, PgXmlErrorContext *errcxt)
{
	DefinitionElement *root;
	xmlNodePtr	node;

	reader->parser = xmlNewParserCtxt();
	if (reader->parser == NULL || reader->parser->sax == NULL)
		xml_ereport(errcxt, ERROR, ERRCODE_OUT_OF_MEMORY,
					"could not allocate XML parser context");
	reader->parser->_private = &reader->messages;
	reader->parser->sax->internalSubset = stop_at_dtd;
#if LIBXML_VERSION >= 21300
	xmlCtxtSetErrorHandler(reader->parser, (xmlStructuredErrorFunc) collect_message,
						   &reader->messages);
#else
	reader->parser->sax->serror = (xmlStructuredErrorFunc) collect_parser_message;
#endif

	reader->doc = xmlCtxtReadMemory(reader->parser, reader->source,
									reader->source_len, NULL, "UTF-8",
									PARSE_OPTIONS);

	if (reader->messages.out_of_memory)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (reader->messages.has_dtd)
	{
		definition_error(reader->def, ERRCODE_WF_DEFINITION,
						 reader->messages.dtd_line, NULL,
						 "Remove the declaration that begins with <!DOCTYPE, and write characters themselves instead of entities.",
						 "a definition must not have a document type declaration");
		return NULL;
	}
	if (reader->doc == NULL || reader->messages.n > 0)
	{
		report_parse_messages(reader->def, &reader->messages,
							  reader->source, reader->source_len);
		return NULL;
	}

	reader->scan.pos = reader->source;
	reader->scan.end = reader->source + reader->source_len;
	reader->scan.line = 1;

	node = xmlDocGetRootElement(reader->doc);
	reader->root_namespace = node->ns ? node->ns->href : NULL;
	root = copy_element(reader, node, NULL);

	/* the schema is the backstop: its messages are poor */
	definition_check(reader->def, root);
	if (reader->def->nerrors == 0)
		validate_document(reader);
	return root;
}

/*
 * Free whatever of libxml2's the reader holds.
 */
static void
free_resources(XmlReader *reader)
{
	if (reader->canonical != NULL)
		xmlFree(reader->canonical);
	if (reader->buffer != NULL)
		xmlBufferFree(reader->buffer);
	if (reader->copy != NULL)
		xmlFreeDoc(reader->copy);
	if (reader->validator != NULL)
		xmlRelaxNGFreeValidCtxt(reader->validator);
	if (reader->doc != NULL)
		xmlFreeDoc(reader->doc);
	if (reader->parser != NULL)
		xmlFreeParserCtxt(reader->parser);
}

/* -------------------------------------------------------------- callback */

/*
 * SAX callback for <!DOCTYPE name: stop before its content is read.  Runs
 * inside libxml2.
 */
static void
stop_at_dtd(void *arg, const xmlChar *name, const xmlChar *public_id,
			const xmlChar *system_id)
{
	xmlParserCtxtPtr parser = (xmlParserCtxtPtr) arg;
	XmlMessages *messages = (XmlMessages *) parser->_private;

	messages->has_dtd = true;
	messages->dtd_line = xmlSAX2GetLineNumber(parser);
	xmlStopParser(parser);
}

/* ---------------------------------------------------------------- schema */

/*
 * Compile the RELAX NG schema if this backend hasn't yet.
 */
static void
compile_schema(void)
{
	xmlRelaxNGParserCtxtPtr parser;
	XmlMessages *messages;

	if (schema != NULL)
		return;

	messages = palloc0(sizeof(XmlMessages));
	parser = xmlRelaxNGNewMemParserCtxt(ready_schema, strlen(ready_schema));
	if (parser != NULL)
	{
		xmlRelaxNGSetParserStructuredErrors(parser,
											(xmlStructuredErrorFunc) collect_message,
											messages);
		schema = xmlRelaxNGParse(parser);
		xmlRelaxNGFreeParserCtxt(parser);
	}
	if (schema == NULL)
		elog(ERROR, "could not compile the RELAX NG schema of idflow: line %d: %s",
			 messages->message[0].line, messages->message[0].what);
	pfree(messages);
}

/*
 * Validate a document, whose namespaces copy_element() has removed.
 */
static void
validate_document(XmlReader *reader)
{
	XmlMessages *messages = palloc0(sizeof(XmlMessages));
	int			result;

	reader->validator = xmlRelaxNGNewValidCtxt(schema);
	if (reader->validator == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	xmlRelaxNGSetValidStructuredErrors(reader->validator,
									   (xmlStructuredErrorFunc) collect_message,
									   messages);
	result = xmlRelaxNGValidateDoc(reader->validator, reader->doc);

	if (result != 0 && messages->n == 0)
		strlcpy(messages->message[messages->n++].what, "document is not valid",
				XML_MESSAGE_LENGTH);
	for (int i = 0; i < messages->n; i++)
		definition_error(reader->def, ERRCODE_WF_DEFINITION,
						 messages->message[i].line,
						 xml_message_text(messages->message[i].element),
						 "The language is described by workflows/idflow.rng.",
						 "%s", xml_message_text(messages->message[i].what));
}

/* --------------------------------------------------------------- copying */

/*
 * Copy an element and what stands in it.  Namespaces are checked (there must
 * be one at most) and taken away from the nodes.
 */
static DefinitionElement *
copy_element(XmlReader *reader, xmlNodePtr node, DefinitionElement *parent)
{
	DefinitionElement *element = palloc0(sizeof(DefinitionElement));

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	element->name = from_utf8((const char *) node->name);
	element->line = source_start_tag(&reader->scan);
	element->parent = parent;
	node->_private = element;

	if (!xmlStrEqual(node->ns ? node->ns->href : NULL, reader->root_namespace))
		definition_error(reader->def, ERRCODE_WF_DEFINITION, element->line, element->name,
						 "All elements are in the namespace of the root, or in none.",
						 "element is in another namespace than the root");

	copy_attributes(reader, node, element);

	for (xmlNodePtr child = node->children; child != NULL; child = child->next)
	{
		if (child->type == XML_ELEMENT_NODE)
			element->children = lappend(element->children,
										copy_element(reader, child, element));
		else if (child->type != XML_COMMENT_NODE &&
				 child->type != XML_PI_NODE &&
				 !xmlIsBlankNode(child))
			element->has_text = true;
	}

	/* nothing below refers to these any longer */
	node->ns = NULL;
	xmlFreeNsList(node->nsDef);
	node->nsDef = NULL;

	if (parent == NULL ? strcmp(element->name, "Workflow") == 0 :
		parent->parent == NULL && strcmp(parent->name, "ConfigurationFile") == 0)
		copy_parts(reader, node, element);

	return element;
}

/*
 * Copy an element's attributes, and remove from the node those that are in a
 * namespace.
 */
static void
copy_attributes(XmlReader *reader, xmlNodePtr node, DefinitionElement *element)
{
	xmlAttrPtr	next;

	for (xmlAttrPtr attr = node->properties; attr != NULL; attr = next)
	{
		int			line = source_attribute(&reader->scan, false);
		DefinitionAttribute *copy;
		StringInfoData value;

		next = attr->next;

		if (attr->ns != NULL)
		{
			/* xsi:schemaLocation and the like are for editors */
			if (!xmlStrEqual(attr->ns->href, (const xmlChar *) XSI_NAMESPACE))
				definition_error(reader->def, ERRCODE_WF_DEFINITION, line, element->name,
								 "Attributes are written without a prefix.",
								 "attribute %s:%s is in a namespace",
								 attr->ns->prefix ? from_utf8((const char *) attr->ns->prefix) : "",
								 from_utf8((const char *) attr->name));
			xmlRemoveProp(attr);
			continue;
		}

		copy = palloc0(sizeof(DefinitionAttribute));
		copy->name = from_utf8((const char *) attr->name);
		copy->line = line > 0 ? line : element->line;

		/* without entities, a value is text and nothing else */
		initStringInfo(&value);
		for (xmlNodePtr part = attr->children; part != NULL; part = part->next)
		{
			if (part->type != XML_TEXT_NODE)
				elog(ERROR, "unexpected node in the value of an attribute");
			if (part->content != NULL)
				appendStringInfoString(&value, (const char *) part->content);
		}
		copy->value = from_utf8(value.data);
		element->attributes = lappend(element->attributes, copy);
	}
}

/*
 * Give an element the parts of which it consists: one for each workflow that
 * an aspect points into, else one.
 */
static void
copy_parts(XmlReader *reader, xmlNodePtr node, DefinitionElement *element)
{
	List	   *workflows = NIL;
	ListCell   *lc;

	if (!is_aspect(element))
	{
		element->parts = list_make1(copy_part(reader, node, NULL, false));
		return;
	}
	foreach(lc, element_children_named(element, "PointCut"))
	{
		char	   *workflow = point_cut_workflow(lfirst(lc));
		ListCell   *seen;

		if (workflow == NULL)
			continue;
		foreach(seen, workflows)
			if (strcmp(lfirst(seen), workflow) == 0)
				break;
		if (seen == NULL)
			workflows = lappend(workflows, workflow);
	}
	if (list_length(workflows) > MAX_WORKFLOWS_OF_ASPECT)
	{
		definition_error(reader->def, ERRCODE_PROGRAM_LIMIT_EXCEEDED, element->line,
						 element->name, "Write several aspects.",
						 "aspect points into more than %d workflows", MAX_WORKFLOWS_OF_ASPECT);
		return;
	}
	foreach(lc, workflows)
		element->parts = lappend(element->parts,
								 copy_part(reader, node, lfirst(lc), true));
}

/*
 * Remove from the copy of an aspect the pointcuts into other workflows.
 */
static void
remove_foreign_point_cuts(xmlNodePtr aspect, const char *workflow)
{
	xmlNodePtr	next;

	for (xmlNodePtr child = aspect->children; child != NULL; child = next)
	{
		DefinitionElement *element = (DefinitionElement *) child->_private;
		char	   *of;

		next = child->next;
		if (child->type != XML_ELEMENT_NODE || element == NULL ||
			strcmp(element->name, "PointCut") != 0)
			continue;
		of = point_cut_workflow(element);
		if (of == NULL || strcmp(of, workflow) != 0)
		{
			/* with the white space that it stood after */
			if (child->prev != NULL && xmlIsBlankNode(child->prev))
			{
				xmlNodePtr	space = child->prev;

				xmlUnlinkNode(space);
				xmlFreeNode(space);
			}
			xmlUnlinkNode(child);
			xmlFreeNode(child);
		}
	}
}

/*
 * Return the part of an element that belongs to the workflow (NULL: all of
 * it): its source (as written, comments included) and the digest of its
 * canonical form (C14N, without comments, processing instructions and white
 * space between elements).
 */
static DefinitionPart *
copy_part(XmlReader *reader, xmlNodePtr node, const char *workflow, bool is_aspect)
{
	DefinitionPart *part = palloc0(sizeof(DefinitionPart));
	xmlNodePtr	copy;
	int			length;
	bytea	   *data;
	bytea	   *digest;

	reader->copy = xmlNewDoc((const xmlChar *) "1.0");
	reader->buffer = xmlBufferCreate();
	copy = reader->copy ? xmlDocCopyNode(node, reader->copy, 1) : NULL;
	if (reader->buffer == NULL || copy == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	xmlDocSetRootElement(reader->copy, copy);
	part->workflow = workflow;
	if (is_aspect)
	{
		/* the copies of the children stand in the order of the originals */
		for (xmlNodePtr from = node->children, to = copy->children;
			 from != NULL && to != NULL; from = from->next, to = to->next)
			to->_private = from->_private;
		remove_foreign_point_cuts(copy, workflow);
	}

	/* without an encoding, libxml2 writes ASCII and character references */
	if (GetDatabaseEncoding() == PG_UTF8)
		reader->copy->encoding = xmlStrdup((const xmlChar *) "UTF-8");
	if (xmlNodeDump(reader->buffer, reader->copy, copy, 0, 0) < 0)
		elog(ERROR, "could not write the definition");
	part->source = from_utf8((const char *) xmlBufferContent(reader->buffer));

	remove_insignificant(copy);
	length = xmlC14NDocDumpMemory(reader->copy, NULL, XML_C14N_1_0, NULL, 0,
								  &reader->canonical);
	if (length < 0)
		elog(ERROR, "could not write the definition in canonical form");

	data = palloc(length + VARHDRSZ);
	SET_VARSIZE(data, length + VARHDRSZ);
	memcpy(VARDATA(data), reader->canonical, length);
	digest = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(data)));
	Assert(VARSIZE_ANY_EXHDR(digest) == DEFINITION_DIGEST_LENGTH);
	memcpy(part->digest, VARDATA_ANY(digest), DEFINITION_DIGEST_LENGTH);

	/* a file may have many */
	xmlFree(reader->canonical);
	reader->canonical = NULL;
	xmlBufferFree(reader->buffer);
	reader->buffer = NULL;
	xmlFreeDoc(reader->copy);
	reader->copy = NULL;
	return part;
}

/*
 * Remove comments, processing instructions and white space below a node.
 */
static void
remove_insignificant(xmlNodePtr node)
{
	xmlNodePtr	next;

	for (xmlNodePtr child = node->children; child != NULL; child = next)
	{
		next = child->next;
		if (child->type == XML_ELEMENT_NODE)
			remove_insignificant(child);
		else if (child->type == XML_COMMENT_NODE ||
				 child->type == XML_PI_NODE ||
				 xmlIsBlankNode(child))
		{
			xmlUnlinkNode(child);
			xmlFreeNode(child);
		}
	}
}

/* ------------------------------------------------------------------- text */

/*
 * Return a string of libxml2's in the server's encoding, as a copy in the
 * current memory context.
 */
static char *
from_utf8(const char *text)
{
	char	   *copy = pstrdup(text);

	return pg_any_to_server(copy, strlen(copy), PG_UTF8);
}
