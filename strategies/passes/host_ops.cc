#include "strategies/passes/host_ops.h"

#include <cstring>

#include "strategies/framework/host_launches.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {

void CountHostOps(const Op& op, bool backward, int first, const char** graph, PassBuilder* pass) {
  const char* before = *graph;
  *graph = GraphOf(op, *pass);
  if (*graph == nullptr) {
    pass->CountLaunches(first, ExtraLaunches(op, backward, *pass));
    return;
  }
  pass->LaunchAtOnce(first, before == nullptr || std::strcmp(before, *graph) != 0);
}

}  // namespace meshstep
