/* compact.h: changes in as little memory as they take */
#ifndef IDFLOW_COMPACT_H
#define IDFLOW_COMPACT_H

#include "idflow.h"

extern Change *change_compact(Change *change, Change *like);

#endif
