/*-------------------------------------------------------------------------
 *
 * definition_source.c
 *		Lines in the source of a definition.
 *
 * libxml2 knows the line on which a start tag ends.  People look for the line
 * on which it begins, and for the line of an attribute, so the source is
 * walked beside the tree.  When that is done it is known to be well-formed
 * and to have no DTD, which makes it simple; but no text whatever makes it
 * read beyond the end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "definition.h"

/* Good enough for names in a document that has been parsed. */
static bool
is_name_character(char c)
{
	return IS_HIGHBIT_SET(c) || isalnum((unsigned char) c) ||
		c == '_' || c == ':' || c == '-' || c == '.';
}

/* Move on by n characters. */
static void
scan_skip(DefinitionSource *scan, int n)
{
	for (; n > 0 && scan->pos < scan->end; n--)
	{
		if (*scan->pos++ == '\n')
			scan->line++;
	}
}

/* Move behind the next occurrence of what. */
static void
scan_past(DefinitionSource *scan, const char *what)
{
	size_t		len = strlen(what);

	while (scan->pos < scan->end &&
		   (scan->end - scan->pos < len || memcmp(scan->pos, what, len) != 0))
		scan_skip(scan, 1);
	scan_skip(scan, len);
}

static bool
scan_sees(DefinitionSource *scan, const char *what)
{
	size_t		len = strlen(what);

	return scan->end - scan->pos >= len && memcmp(scan->pos, what, len) == 0;
}

static bool
is_xml_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * Move behind the name of the next start tag and return its line; 0 if there
 * is none before the end, or before a document type declaration.
 */
int
source_start_tag(DefinitionSource *scan)
{
	while (scan->pos < scan->end)
	{
		if (scan_sees(scan, "<!--"))
			scan_past(scan, "-->");
		else if (scan_sees(scan, "<![CDATA["))
			scan_past(scan, "]]>");
		else if (scan_sees(scan, "<?"))
			scan_past(scan, "?>");
		else if (scan_sees(scan, "</"))
			scan_past(scan, ">");
		else if (scan_sees(scan, "<!"))
			return 0;
		else if (scan_sees(scan, "<"))
		{
			int			line = scan->line;

			scan_skip(scan, 1);
			while (scan->pos < scan->end && is_name_character(*scan->pos))
				scan_skip(scan, 1);
			return line;
		}
		else
			scan_skip(scan, 1);
	}
	return 0;
}

/*
 * Within a start tag, move behind the next attribute and return its line; 0 if
 * there is none.  Namespace declarations count as attributes if wanted.
 */
int
source_attribute(DefinitionSource *scan, bool with_namespaces)
{
	for (;;)
	{
		bool		is_xmlns;
		int			line;
		char		quote[2] = {0};

		while (scan->pos < scan->end && is_xml_space(*scan->pos))
			scan_skip(scan, 1);
		if (scan->pos >= scan->end || *scan->pos == '>' || *scan->pos == '/')
			return 0;

		line = scan->line;
		is_xmlns = scan_sees(scan, "xmlns=") || scan_sees(scan, "xmlns:") ||
			scan_sees(scan, "xmlns ");
		while (scan->pos < scan->end && *scan->pos != '"' && *scan->pos != '\'')
			scan_skip(scan, 1);
		if (scan->pos >= scan->end)
			return 0;
		quote[0] = *scan->pos;
		scan_skip(scan, 1);
		scan_past(scan, quote);
		if (with_namespaces || !is_xmlns)
			return line;
	}
}

/*
 * Return the name of the last tag that begins before a position (column in
 * bytes), in the current memory context, or NULL if there is none.
 */
char *
source_tag_before(const char *source, size_t len, int line, int column)
{
	const char *pos = source;
	const char *end = source + len;
	const char *name;

	while (--line > 0)
	{
		const char *newline = memchr(pos, '\n', end - pos);

		if (newline == NULL)
			return NULL;
		pos = newline + 1;
	}
	pos = (end - pos) > column ? pos + column : end;

	while (--pos >= source)
	{
		if (*pos != '<')
			continue;
		name = pos + 1;
		if (name < end && *name == '/')
			name++;
		len = 0;
		while (name + len < end && is_name_character(name[len]))
			len++;
		if (len > 0 && len < NAMEDATALEN)
			return pnstrdup(name, len);
	}
	return NULL;
}

/*
 * Return the line of a start tag that has more attributes than the limit, 0
 * if there is none.  libxml2 compares each attribute with all others of its
 * element, so this is asked before it sees the source.
 */
int
source_excess_attributes(const char *source, size_t len, int limit)
{
	DefinitionSource scan = {source, source + len, 1};
	int			line;

	while ((line = source_start_tag(&scan)) > 0)
	{
		int			n = 0;

		while (source_attribute(&scan, true) > 0)
		{
			if (++n > limit)
				return line;
		}
	}
	return 0;
}
