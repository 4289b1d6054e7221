/*
 * System registers, the barriers that order them, and cache instructions. DDI 0487 D19, B2.3, D7.5. For
 * arch/ and drivers/. What of arch/ uses no other instructions runs in host tests too, where each of
 * these is recorded (tests/host/fake/arch/arm64/sysreg.h).
 */
#pragma once

#include "core/base/types.h"

#define READ_SYSREG(name)                                          \
	({                                                         \
		u64 value_;                                        \
		__asm__ volatile("mrs %0, " #name : "=r"(value_)); \
		value_;                                            \
	})
#define WRITE_SYSREG(name, value)                                        \
	do {                                                             \
		u64 written_ = (value);                                  \
		__asm__ volatile("msr " #name ", %x0" ::"rZ"(written_)); \
	} while (0)

static inline void isb(void)
{
	__asm__ volatile("isb" ::: "memory");
}

#define dsb(domain) __asm__ volatile("dsb " #domain ::: "memory")

/* Maintenance of a line, of all instruction caches; a wake-up for cores that wait in WFE. */
#define dc(operation, va) __asm__ volatile("dc " #operation ", %0" ::"r"(va) : "memory")
#define ic(operation)	  __asm__ volatile("ic " #operation ::: "memory")
#define sev()		  __asm__ volatile("sev" ::: "memory")
#define tlbi(operation)	  __asm__ volatile("tlbi " #operation ::: "memory")
#define tlbi_page(operation, page) \
	__asm__ volatile("tlbi " #operation ", %0" ::"r"(page) : "memory")
/* The address as it would be translated; PAR_EL1 has the answer. */
#define translate(operation, va) \
	__asm__ volatile("at " #operation ", %0\n\tisb" ::"r"(va) : "memory")

/* HCR_EL2, DDI 0487 D19.2.48. */
#define HCR_VM	      (1ul << 0)
#define HCR_PTW	      (1ul << 2)
#define HCR_FMO	      (1ul << 3)
#define HCR_IMO	      (1ul << 4)
#define HCR_AMO	      (1ul << 5)
#define HCR_FB	      (1ul << 9)
#define HCR_BSU_INNER (1ul << 10)
#define HCR_TWI	      (1ul << 13)
#define HCR_TID3      (1ul << 18)
#define HCR_TSC	      (1ul << 19)
#define HCR_TIDCP     (1ul << 20)
#define HCR_TACR      (1ul << 21)
#define HCR_TSW	      (1ul << 22)
#define HCR_RW	      (1ul << 31)
#define HCR_TLOR      (1ul << 35)
#define HCR_TERR      (1ul << 36)
#define HCR_APK	      (1ul << 40)
#define HCR_API	      (1ul << 41)

/* CPTR_EL2 without VHE: RES1 bits, trap of FP/SIMD, of SVE, of trace, of activity monitors. */
#define CPTR_RES1 0x32fful
#define CPTR_TZ	  (1ul << 8)
#define CPTR_TFP  (1ul << 10)
#define CPTR_TTA  (1ul << 20)
#define CPTR_TAM  (1ul << 30)

/* MDCR_EL2: debug and performance monitor traps. */
#define MDCR_TPMCR (1ul << 5)
#define MDCR_TPM   (1ul << 6)
#define MDCR_TDE   (1ul << 8)
#define MDCR_TDA   (1ul << 9)
#define MDCR_TDOSA (1ul << 10)
#define MDCR_TDRA  (1ul << 11)
#define MDCR_TPMS  (1ul << 14)
#define MDCR_HPMD  (1ul << 17)
#define MDCR_TTRF  (1ul << 19)
#define MDCR_HCCD  (1ul << 23)
#define MDCR_HPMN  0x1ful

#define SPSR_EL1H    0x5ul
#define SPSR_EL2H    0x9ul
#define SPSR_DAIF    (0xful << 6)
#define SPSR_EL	     (0xful << 0) /* M[3:0]: 0 is EL0 */
#define SPSR_AARCH32 (1ul << 4)
#define SPSR_BTYPE   (3ul << 10)
#define SPSR_SSBS    (1ul << 12)
#define SPSR_SS	     (1ul << 21)
#define SPSR_PAN     (1ul << 22)
#define SPSR_DIT     (1ul << 24)
#define SPSR_NZCV    (0xful << 28)

#define SCTLR_SPAN  (1ul << 23)
#define SCTLR_DSSBS (1ul << 44)
