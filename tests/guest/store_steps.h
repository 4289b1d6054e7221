/* What the VMs of store_steps.dts tell each other: words of channels. A time is what else one says. */
#pragma once

enum { NOT_YET, WATCHES, ENOUGH };
