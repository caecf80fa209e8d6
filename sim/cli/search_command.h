// The two commands of a search, which share how they write its answer.

#ifndef MESHSTEP_SIM_CLI_SEARCH_COMMAND_H_
#define MESHSTEP_SIM_CLI_SEARCH_COMMAND_H_

namespace CLI {
class App;
}

namespace meshstep {

void AddSearchCommand(CLI::App* app);
void AddMergeCommand(CLI::App* app);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_SEARCH_COMMAND_H_
