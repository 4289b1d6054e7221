/*
 * What pass.c and pass_peer.c publish on the channels `first` (home and the middle) and `second`
 * (the middle and the last): the handle of a grant that is passed, or PASS_END.
 */
#pragma once

#define PASS_END (~0ull)
