/*-------------------------------------------------------------------------
 *
 * definition_xml.h
 *		What libxml2 says of a definition.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IDFLOW_DEFINITION_XML_H
#define IDFLOW_DEFINITION_XML_H

#include "postgres.h"

#include <libxml/xmlerror.h>

#include "definition.h"

#define MAX_XML_MESSAGES	20
#define XML_MESSAGE_LENGTH	256

/* what callbacks collect; of fixed size, because they must not allocate */
typedef struct XmlMessages
{
	bool		has_dtd;
	int			dtd_line;
	bool		out_of_memory;
	int			n;
	struct
	{
		int			code;
		int			line;
		int			column;
		char		element[NAMEDATALEN];
		char		what[XML_MESSAGE_LENGTH];
	}			message[MAX_XML_MESSAGES];
} XmlMessages;

extern void collect_message(void *arg, xmlErrorPtr error);
extern void report_parse_messages(Definition *def, XmlMessages *messages,
								  const char *source, size_t source_len);
extern char *xml_message_text(const char *text);

#endif							/* IDFLOW_DEFINITION_XML_H */
