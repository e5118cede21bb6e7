/* A host that its terminal has stopped, and that goes on. */
#ifndef TEP_PAUSE_H
#define TEP_PAUSE_H

#include "nursery/nursery.h"

void nursery_pause(struct nursery *nursery);
void nursery_resume(struct nursery *nursery);

#endif
