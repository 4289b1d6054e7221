/*
 * Two senders to mqueue.c, a task each. They first send by a deadline until it passes, for nobody receives yet;
 * then on and on, until there is an answer, or the VM is ended.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/mqueue.h"

#define DEADLINE_NS 2000000u

static struct sender {
	struct weir_sender sender;
	struct task task;
	struct mqueue_message message;
	uint8_t stack[8192] __attribute__((aligned(16)));
} senders[2];

static enum weir_status send_next(struct sender *self)
{
	struct mqueue_message *message = &self->message;
	uint32_t words = mqueue_words(message);
	enum weir_status status;

	for (uint32_t i = 0; i < words; i++)
		message->words[i] = mqueue_word(message, i);
	self->sender.channel.deadline =
		message->timeouts ? 0 : timer_now() + timer_ticks(DEADLINE_NS);
	status = weir_sender_send(&self->sender, message, MQUEUE_HEADER + words * 8);
	message->number += status == WEIR_OK;
	message->timeouts += status == WEIR_TIMEOUT;
	return status == WEIR_TIMEOUT ? WEIR_OK : status;
}

static void run(void *arg)
{
	struct sender *self = arg;
	uint64_t end;
	uint32_t bytes;
	char name[3];

	mqueue_name((uint32_t)self->message.sender, name);
	if ((self->message.sender < MQUEUE_CHANNELS
		     ? sender_open(&self->sender, name)
		     : sender_join(&self->sender, MQUEUE_PATH)) != WEIR_OK) {
		printf("not ok: %s cannot be opened\n", name);
		return;
	}
	self->message.opened = timer_now();
	while (send_next(self) == WEIR_OK)
		if (weir_channel_try_receive(&self->sender.channel, &end, sizeof(end), &bytes) ==
		    WEIR_OK)
			break;
	self->sender.channel.deadline = 0;
	weir_sender_drain(&self->sender);
	weir_sender_close(&self->sender);
}

int main(void)
{
	uint64_t first = bootargs_number("first", 0);

	for (uint32_t i = 0; i < 2; i++) {
		senders[i].message.sender = first + i;
		task_create(&senders[i].task, run, &senders[i], senders[i].stack,
			    sizeof(senders[i].stack));
	}
	for (uint32_t i = 0; i < 2; i++)
		task_join(&senders[i].task);
	return 0;
}
