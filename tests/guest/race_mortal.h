/* Between event_race.c and race_mortal.c. */
#pragma once

#define MORTAL_ENOUGH 1ull /* published to the mortal one: do not start again */
