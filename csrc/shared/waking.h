/* Sleeping at the shared page, waking who does, and the word that stops a call. */
#ifndef TEP_WAKING_H
#define TEP_WAKING_H

#include <stdbool.h>
#include <stdint.h>

struct page;

/* Let the items below `watermark` of a held call be taken: wake as many children as
 * that lets begin one. */
void page_raise_watermark(struct page *page, uint64_t watermark);

/* So many items there will be: wake all who may wait for more. */
void page_set_total(struct page *page, uint64_t total);

/* Let all who sleep look again. */
void page_wake(struct page *page);

/* Sleep until `turn` is another than that of the page, which was read before whatever
 * made this child sleep: true. Gives up after so long, or when a signal arrives. */
bool page_sleep(struct page *page, uint32_t turn, int64_t most_ns);

/* The same for as long as it takes. Always true. */
bool page_await_turn(struct page *page, uint32_t turn);

/* A child whose items are quick does not sleep at once: it naps until `beat` is another
 * than that of the page, or it is late. To be woken for each item would cost more than
 * the items. */
void page_nap(struct page *page, uint32_t beat);

/* There is enough to do: wake those who nap. */
void page_beat(struct page *page);

/* Write the stop word: begin no new item; at STOP_ALL, let the nursery kill
 * what runs. A child does so when its item failed, or gave a Break or a Kill;
 * the nursery when a child has died, at the deadline, and when it cannot go
 * on. */
void page_stop(struct page *page, uint32_t how);

#endif
