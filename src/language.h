/* language.h: texts of definitions in the language of whoever reads them */
#ifndef IDFLOW_LANGUAGE_H
#define IDFLOW_LANGUAGE_H

#include "idflow.h"

extern void language_init(void);
extern bool language_matches(const char *wanted, const char *language);
extern int	language_number(const char *principal);
extern const char *language_name(int number);
extern const char *numbered_text(const DefinitionElement *element, const char *stem, int number);

#endif
