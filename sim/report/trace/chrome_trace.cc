// The JSON trace that chrome://tracing and others read. Source: "Trace Event Format",
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.

#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "sim/report/trace/trace.h"

namespace meshstep {
namespace {

constexpr std::int64_t kPsPerUs = 1000000;

// Any bytes as a JSON string; what is not printable ASCII or well-formed UTF-8 becomes '?'.
void AppendString(std::string_view text, std::string* out) {
  out->push_back('"');
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 ? 1 : 0;
    bool whole = more > 0 && c < 0xf5 && i + more < text.size();
    for (std::size_t k = 1; whole && k <= more; ++k) {
      whole = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    }
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(text[i]);
    } else if (c >= 0x20 && c < 0x7f) {
      out->push_back(text[i]);
    } else if (whole) {
      out->append(text.substr(i, more + 1));
      i += more;
    } else {
      out->push_back('?');
    }
  }
  out->push_back('"');
}

template <class Number>
void AppendNumber(Number value, std::string* out) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out->append(digits.data(), end);
}

// Six digits: rates and percentages need no more, and counts of bytes and FLOPs are whole numbers.
void AppendNumber(double value, std::string* out) {
  constexpr double kWhole = 1e15;
  if (value == std::floor(value) && std::abs(value) < kWhole) {
    AppendNumber(static_cast<std::int64_t>(value), out);
    return;
  }
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                 std::chars_format::general, 6)
                       .ptr;
  out->append(digits.data(), end);
}

// Picoseconds as microseconds, exactly.
void AppendMicroseconds(Time time, std::string* out) {
  AppendNumber(time.ps() / kPsPerUs, out);
  std::string fraction = std::to_string(time.ps() % kPsPerUs);
  fraction.insert(0, 6 - fraction.size(), '0');
  out->append(".").append(fraction);
}

class ChromeTrace : public TraceFormat {
 public:
  explicit ChromeTrace(OutputFile* file) : file_(*file) {
    file_.Write("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
  }

  void Process(int process, const std::string& name) override {
    Metadata("process_name", process, 0, name);
    Metadata("process_sort_index", process, 0, process);
  }

  void Thread(int track, int process, const std::string& name) override {
    process_of_[track] = process;
    Metadata("thread_name", process, track, name);
    Metadata("thread_sort_index", process, track, track);
  }

  void Counter(int track, int process, const std::string& name, const std::string& unit) override {
    process_of_[track] = process;
    counters_[track] = {name, unit};
  }

  void Begin(int track, Time begin, Time end, const TraceSlice& slice) override {
    Event('X', track, slice.name, begin);
    line_ += ",\"dur\":";
    AppendMicroseconds(end - begin, &line_);
    line_ += ",\"cat\":";
    AppendString(slice.category, &line_);
    line_ += ",\"args\":{";
    for (const TraceArgument& argument : slice.arguments) {
      if (line_.back() != '{') line_ += ",";
      AppendString(argument.name, &line_);
      line_ += ":";
      if (const auto* i = std::get_if<std::int64_t>(&argument.value)) {
        AppendNumber(*i, &line_);
      } else if (const auto* d = std::get_if<double>(&argument.value)) {
        AppendNumber(*d, &line_);
      } else {
        AppendString(std::get<std::string_view>(argument.value), &line_);
      }
    }
    line_ += "}";
    Send();
    if (slice.flow == TraceSlice::Flow::kNone) return;
    const char phase = slice.flow == TraceSlice::Flow::kStart  ? 's'
                       : slice.flow == TraceSlice::Flow::kStep ? 't'
                                                               : 'f';
    Event(phase, track, "transfer", begin);
    line_ += ",\"cat\":\"transfer\",\"bp\":\"e\",\"id\":";
    AppendNumber(slice.flow_id, &line_);
    Send();
  }

  void End(int, Time) override {}  // 'X' events have their duration

  void Value(int track, Time time, double value) override {
    const auto& [name, unit] = counters_[track];
    Event('C', track, name, time);
    line_ += ",\"args\":{";
    AppendString(unit, &line_);
    line_ += ":";
    AppendNumber(value, &line_);
    line_ += "}";
    Send();
  }

  void Finish() override { file_.Write("\n]}\n"); }

 private:
  template <class Value>
  void Metadata(std::string_view what, int process, int track, const Value& value) {
    line_ = "{\"ph\":\"M\",\"name\":";
    AppendString(what, &line_);
    Place(process, track);
    if constexpr (std::is_same_v<Value, int>) {
      line_ += ",\"args\":{\"sort_index\":";
      AppendNumber(value, &line_);
    } else {
      line_ += ",\"args\":{\"name\":";
      AppendString(value, &line_);
    }
    line_ += "}";
    Send();
  }

  void Place(int process, int track) {
    line_ += ",\"pid\":";
    AppendNumber(process, &line_);
    line_ += ",\"tid\":";
    AppendNumber(track, &line_);
  }

  void Event(char phase, int track, std::string_view name, Time time) {
    line_ = "{\"ph\":\"";
    line_ += phase;
    line_ += "\",\"name\":";
    AppendString(name, &line_);
    Place(process_of_[track], track);
    line_ += ",\"ts\":";
    AppendMicroseconds(time, &line_);
  }

  void Send() {
    line_ += "}";
    file_.Write(std::exchange(started_, true) ? ",\n" : "\n");
    file_.Write(line_);
  }

  OutputFile& file_;
  std::string line_;
  bool started_ = false;
  std::map<int, int> process_of_;
  std::map<int, std::pair<std::string, std::string>> counters_;
};

}  // namespace

std::unique_ptr<TraceFormat> MakeChromeTrace(OutputFile* file) {
  return std::make_unique<ChromeTrace>(file);
}

}  // namespace meshstep
