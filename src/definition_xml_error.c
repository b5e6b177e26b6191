/*-------------------------------------------------------------------------
 *
 * definition_xml_error.c
 *		What libxml2 says of a definition: collected while it parses, and
 *		made errors with a line, an element and a hint.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>

#include "mb/pg_wchar.h"

#include "definition.h"
#include "definition_xml.h"
#include "errcodes.h"

/*
 * collect_message: error handler; keeps the message.  Runs inside libxml2, so
 * it must not allocate.
 */
void
collect_message(void *arg, xmlErrorPtr error)
{
	XmlMessages *messages = (XmlMessages *) arg;
	xmlNodePtr	node = (xmlNodePtr) error->node;
	int			n = messages->n;

	if (error->code == XML_ERR_NO_MEMORY)
		messages->out_of_memory = true;
	if (error->level < XML_ERR_ERROR || n >= MAX_XML_MESSAGES)
		return;

	messages->message[n].code = error->code;
	messages->message[n].line = error->line;
	messages->message[n].column = error->int2;
	if (node != NULL && node->type == XML_ELEMENT_NODE)
	{
		strlcpy(messages->message[n].element, (const char *) node->name, NAMEDATALEN);
		/* copy_element() has left the true line here */
		if (node->_private != NULL)
			messages->message[n].line = ((DefinitionElement *) node->_private)->line;
	}
	if (error->message != NULL)
		strlcpy(messages->message[n].what, error->message, XML_MESSAGE_LENGTH);
	messages->n++;
}

/*
 * xml_message_text: a message of libxml2's, in the current memory context.  It
 * may have been cut in the middle of a character: never fails, and ends on one
 * line.
 */
char *
xml_message_text(const char *text)
{
	char	   *copy = pstrdup(text);
	int			len = strlen(copy);

	while (len > 0 && (copy[len - 1] == '\n' || copy[len - 1] == ' '))
		copy[--len] = '\0';

	if (GetDatabaseEncoding() != PG_UTF8 ||
		pg_encoding_verifymbstr(PG_UTF8, copy, len) != len)
	{
		for (char *p = copy; *p; p++)
		{
			if (IS_HIGHBIT_SET(*p))
				*p = '?';
		}
	}
	return copy;
}

/*
 * Return the name of the last tag that begins before a position, without its
 * prefix; NULL if there is none.
 */
static char *
element_at(const char *source, size_t source_len, int line, int column)
{
	char	   *name = source_tag_before(source, source_len, line, column);
	char	   *colon;

	if (name == NULL)
		return NULL;
	name = xml_message_text(name);
	colon = strchr(name, ':');
	return colon ? colon + 1 : name;
}

/*
 * report_parse_messages: report why a document is not well-formed.
 */
void
report_parse_messages(Definition *def, XmlMessages *messages,
					  const char *source, size_t source_len)
{
	if (messages->n == 0)
		definition_error(def, ERRCODE_WF_DEFINITION, 1, NULL,
						 "A definition is an XML document with the root <Workflow> or <ConfigurationFile>.",
						 "document is not well-formed");

	for (int i = 0; i < messages->n; i++)
	{
		int			line = messages->message[i].line;
		char	   *text = xml_message_text(messages->message[i].what);
		const char *hint;

		/* one mistake makes several messages; the first is about it */
		if (i > 0 && line == messages->message[i - 1].line)
			continue;

		switch (messages->message[i].code)
		{
			case XML_ERR_DOCUMENT_EMPTY:
			case XML_ERR_DOCUMENT_START:
			case XML_ERR_DOCUMENT_END:
				hint = "A definition is an XML document with one root, <Workflow> or <ConfigurationFile>.";
				break;
			case XML_ERR_TAG_NAME_MISMATCH:
			case XML_ERR_TAG_NOT_FINISHED:
			case XML_ERR_GT_REQUIRED:
				hint = "An element ends with </Name>, or with /> if nothing stands in it.";
				break;
			case XML_ERR_LT_IN_ATTRIBUTE:
				hint = "In an attribute, write &lt; instead of <.";
				break;
			case XML_ERR_ENTITYREF_SEMICOL_MISSING:
			case XML_ERR_NAME_REQUIRED:
			case XML_ERR_UNDECLARED_ENTITY:
			case XML_WAR_UNDECLARED_ENTITY:
				hint = "Write &amp; instead of &, and characters themselves instead of entities.";
				break;
			case XML_ERR_ATTRIBUTE_REDEFINED:
				hint = "An element has each attribute at most once.";
				break;
			case XML_ERR_ATTRIBUTE_NOT_STARTED:
			case XML_ERR_ATTRIBUTE_NOT_FINISHED:
			case XML_ERR_ATTRIBUTE_WITHOUT_VALUE:
				hint = "Attributes are written Name=\"value\"; within the value, a quote is written &quot;.";
				break;
			default:
				hint = "A definition must be a well-formed XML document.";
				break;
		}

		/* libxml2 would have the option set; we would not */
		if (strstr(text, "XML_PARSE_HUGE") != NULL)
		{
			text = "elements are nested too deeply, or a value is too long";

			hint = "In a definition, elements are nested at most four deep.";
		}

		definition_error(def, ERRCODE_WF_DEFINITION, line,
						 element_at(source, source_len, line, messages->message[i].column),
						 hint, "%s", text);
	}
}
