/*-------------------------------------------------------------------------
 *
 * language.c
 *	  Texts of definitions in the language of whoever reads them.
 *
 * A definition has its texts numbered, _L1 to _L16; which number is which
 * language is the setting idflow.languages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "directory.h"
#include "language.h"
#include "reading.h"

#define MAX_LANGUAGES	16

PG_FUNCTION_INFO_V1(idflow_my_language);

static char *setting_languages = NULL;
static char *setting_language = NULL;

static bool
check_languages(char **newval, void **extra, GucSource source)
{
	List	   *names;

	if (!SplitGUCList(pstrdup(*newval), ',', &names))
	{
		GUC_check_errdetail("List syntax is invalid.");
		return false;
	}
	if (list_length(names) > MAX_LANGUAGES)
	{
		GUC_check_errdetail("There are texts in at most %d languages.", MAX_LANGUAGES);
		return false;
	}
	return true;
}

/*
 * Declare the module's settings; called by _PG_init.
 */
void
language_init(void)
{
	DefineCustomStringVariable("idflow.languages",
							   "Sets the languages of definitions: the first is that of the texts _L1, and so on.",
							   "For example: en, fr, de. Empty: texts are shown in their first language.",
							   &setting_languages, "",
							   PGC_SUSET, GUC_LIST_INPUT,
							   check_languages, NULL, NULL);
	DefineCustomStringVariable("idflow.language",
							   "Sets the language in which the session reads, where the directory knows none of its actor.",
							   NULL,
							   &setting_language, "",
							   PGC_USERSET, 0,
							   NULL, NULL, NULL);
}

/* language_matches: is a language what is asked for: de for de, de-CH and de_CH.UTF-8? */
bool
language_matches(const char *wanted, const char *language)
{
	size_t		len = strlen(language);

	return len > 0 && pg_strncasecmp(wanted, language, len) == 0 &&
		(wanted[len] == '\0' || wanted[len] == '-' || wanted[len] == '_' || wanted[len] == '.');
}

/*
 * language_number: the number of the texts that a principal reads, from 1.
 */
int
language_number(const char *principal)
{
	List	   *names;
	char	   *email;
	char	   *wanted;
	bool		is_explicit;
	ListCell   *lc;

	if (setting_languages == NULL || setting_languages[0] == '\0' ||
		!SplitGUCList(pstrdup(setting_languages), ',', &names))
		return 1;
	directory_person(principal, &email, &wanted);
	if (wanted == NULL && setting_language && setting_language[0] &&
		strcmp(principal, actor_lookup(&is_explicit)) == 0)
		wanted = setting_language;
	foreach(lc, wanted ? names : NIL)
		if (language_matches(wanted, lfirst(lc)))
			return foreach_current_index(lc) + 1;
	return 1;
}

/*
 * language_name: the language of the texts of a number, as idflow.languages
 * names it, in the current memory context; NULL if it doesn't.
 */
const char *
language_name(int number)
{
	List	   *names;

	if (setting_languages == NULL || !SplitGUCList(pstrdup(setting_languages), ',', &names) ||
		number > list_length(names))
		return NULL;
	return list_nth(names, number - 1);
}

/*
 * numbered_text: the text of a numbered attribute in the language of a number;
 * the first one where there is none in it, NULL if there is none at all.
 */
const char *
numbered_text(const DefinitionElement *element, const char *stem, int number)
{
	const char *text = number > 1 ? element_value(element, psprintf("%s_L%d", stem, number)) : NULL;

	return text ? text : element_value(element, psprintf("%s_L1", stem));
}

/*
 * element_text: the text of a numbered attribute, DisplayName or Message, in
 * the language of a principal; the first one where there is none in it, NULL
 * if the element has none at all.
 */
const char *
element_text(const DefinitionElement *element, const char *stem, const char *principal)
{
	return numbered_text(element, stem, language_number(principal));
}

/*
 * idflow.my_language(): the number of the texts that the present actor reads.
 */
Datum
idflow_my_language(PG_FUNCTION_ARGS)
{
	bool		is_explicit;

	PG_RETURN_INT32(language_number(actor_lookup(&is_explicit)));
}
