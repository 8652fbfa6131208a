/* The cases of the border with the conformance guest run natively. flitch's own tests run them through the component.
 */
#include "flitch_testing.h"

int main(void) { return flitch_run_batches("../../wit/cases/batches"); }
