/* deploy.h: what a deploy writes */
#ifndef IDFLOW_DEPLOY_H
#define IDFLOW_DEPLOY_H

#include "definition.h"

extern void deploy_authority(DefinitionElement *element, const char *deployer);
extern void deploy_activities(int64 workflow_id, WorkflowDefinition *workflow);
extern void deploy_elements(int64 workflow_id, WorkflowDefinition *workflow);
extern Datum deploy_options(List *options);

#endif
