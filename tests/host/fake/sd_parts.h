/* What sd_host.c, the controller, and sd_card.c, the card in it, have of each other. */
#pragma once

#include "sd_host.h"

/* Of the controller's status. */
#define COMMAND	   BIT(0)
#define TRANSFER   BIT(1)
#define READ_READY BIT(5)
#define BAD_DATA   BIT(21)

/* sd_host.c: it comes, now or at a later step. A transfer of blocks begins; false: no answer. */
void comes(struct fake_sd *sd, u32 bits);
bool data_command(struct fake_sd *sd, u32 number, u32 flags);

/* sd_card.c */
bool spend(u32 *count); /* one of a fault's times; false: there is none left */
u32 card_status(struct fake_sd *sd, u32 more);
bool card_command(struct fake_sd *sd, u32 number, u32 flags); /* false: no answer */
u32 switch_word(struct fake_sd *sd);			      /* of the answer to SWITCH_FUNCTION */
