/* Native tests: `make test`. They stand in a folder of their own, for every .c file beside the Makefile goes into the
 * component. */
#include <stdio.h>

#include "flitch_testing.h"

static int failed;

static void same(const char *found, const char *wanted) {
  if (found && strcmp(found, wanted) == 0) return;
  failed++;
  printf("found  %s\nwanted %s\n", found ? found : "nothing", wanted);
}

static void the_domain_is_added_and_some_are_dropped(void) {
  flitch_outcome outcome =
      flitch_try("{\"field\":\"email\",\"drop\":[\"spam.example\"]}", "{\"email\":\"someone@Hotmail.com\",\"n\":1}\n"
                                                                      "{\"email\":\"x@spam.example\"}\n"
                                                                      "{\"email\":\"nobody\"}\n");
  same(outcome.records, "{\"email\":\"someone@Hotmail.com\",\"n\":1,\"user_email_domain\":\"hotmail.com\"}\n");
  same(outcome.rejected, "{\"row\":2,\"reason\":\"\\\"nobody\\\" is no address\"}\n");
}

int main(void) {
  the_domain_is_added_and_some_are_dropped();
  failed += flitch_run_cases("cases");
  return failed != 0;
}
