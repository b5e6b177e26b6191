/* notification.h: what people are told of a request */
#ifndef IDFLOW_NOTIFICATION_H
#define IDFLOW_NOTIFICATION_H

#include "idflow.h"

extern void notification_init(void);
extern void notify_asked(Request *req, List *keys);
extern void notify_told(Request *req, List *keys, bool asked, const char *aspect, const char *subject,
						const char *body, const DefinitionElement *texts);
extern void notify_passed_over(Request *req, List *keys, const char *actor, const char *reason);

#endif
