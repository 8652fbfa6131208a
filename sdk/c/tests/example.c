/* The cases of the example, natively. */
#include "flitch_testing.h"

int main(void) { return flitch_run_cases("../example/cases"); }
