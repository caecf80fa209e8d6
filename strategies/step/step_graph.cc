#include "strategies/step/step_graph.h"

#include "absl/strings/str_cat.h"
#include "sim/base/index.h"

namespace meshstep {
GraphNames StepGraph::Names() const {
  GraphNames result;
  result.task = [this](TaskId t) {
    const TaskInfo& info = tasks[Index(t)];
    std::string text = *info.name;
    if (info.layer != LayerRef()) absl::StrAppend(&text, ", ", NameOf(info.layer));
    return absl::StrCat(text, ", micro-batch ", info.micro_batch);
  };
  result.stream = [this](StreamId s) {
    const StreamInfo& info = streams[Index(s)];
    const UnitInfo& unit = units[Index(info.unit)];
    return absl::StrCat("stage ", unit.stage, " device ", unit.device, " ", info.name);
  };
  return result;
}

}  // namespace meshstep
