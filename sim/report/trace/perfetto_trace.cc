// Perfetto's protobuf trace, streamed packet by packet; strings are sent once and then referred to
// by number. Source of the format: proto/meshstep/perfetto/trace.proto.

#include <cmath>
#include <map>
#include <string>
#include <variant>

#include "meshstep/perfetto/trace.pb.h"
#include "sim/report/trace/trace.h"

namespace meshstep {
namespace {

namespace pf = meshstep::perfetto;

constexpr std::uint32_t kSequence = 1;
constexpr std::uint32_t kCleared = 1, kNeedsInterned = 2;  // TracePacket.sequence_flags
constexpr std::uint32_t kSliceBegin = 1, kSliceEnd = 2, kCounter = 4;
constexpr std::uint32_t kUnitBytes = 3;
// Track uuids: processes after tracks. 0 is taken by the global track.
constexpr std::uint64_t kFirstProcess = 1ull << 32;
// Thread ids are of one space with process ids.
constexpr int kFirstThread = 1 << 24;
constexpr std::int64_t kPsPerNs = 1000;

// Strings of one table of interned data.
using Strings = std::map<std::string, std::uint64_t, std::less<>>;

class PerfettoTrace : public TraceFormat {
 public:
  explicit PerfettoTrace(OutputFile* file) : file_(*file) {}

  void Process(int process, const std::string& name) override {
    pf::TrackDescriptor* track = NewPacket()->mutable_track_descriptor();
    track->set_uuid(kFirstProcess + static_cast<std::uint64_t>(process));
    track->mutable_process()->set_pid(process);
    track->mutable_process()->set_process_name(name);
    track->set_child_ordering(3);
    Send();
  }

  void Thread(int id, int process, const std::string& name) override {
    pf::TrackDescriptor* track = NewTrack(id, process);
    track->mutable_thread()->set_pid(process);
    track->mutable_thread()->set_tid(kFirstThread + id);
    track->mutable_thread()->set_thread_name(name);
    Send();
  }

  void Counter(int id, int process, const std::string& name, const std::string& unit) override {
    pf::TrackDescriptor* track = NewTrack(id, process);
    track->set_name(name);
    if (unit == "bytes") {
      track->mutable_counter()->set_unit(kUnitBytes);
    } else {
      track->mutable_counter()->set_unit_name(unit);
    }
    Send();
  }

  void Begin(int track, Time begin, Time, const TraceSlice& slice) override {
    pf::TrackEvent* event = NewEvent(track, begin, kSliceBegin);
    packet_.set_sequence_flags(kNeedsInterned);
    event->set_name_iid(Intern(slice.name, &names_, &pf::InternedData::add_event_names));
    event->add_category_iids(
        Intern(slice.category, &categories_, &pf::InternedData::add_event_categories));
    for (const TraceArgument& argument : slice.arguments) {
      pf::DebugAnnotation* out = event->add_debug_annotations();
      out->set_name_iid(
          Intern(argument.name, &arguments_, &pf::InternedData::add_debug_annotation_names));
      if (const auto* i = std::get_if<std::int64_t>(&argument.value)) {
        out->set_int_value(*i);
      } else if (const auto* d = std::get_if<double>(&argument.value)) {
        out->set_double_value(*d);
      } else {
        out->set_string_value_iid(Intern(std::get<std::string_view>(argument.value), &values_,
                                         &pf::InternedData::add_debug_annotation_string_values));
      }
    }
    const auto flow = static_cast<std::uint64_t>(slice.flow_id);
    if (slice.flow == TraceSlice::Flow::kStart || slice.flow == TraceSlice::Flow::kStep) {
      event->add_flow_ids(flow);
    } else if (slice.flow == TraceSlice::Flow::kEnd) {
      event->add_terminating_flow_ids(flow);
    }
    Send();
  }

  void End(int track, Time end) override {
    NewEvent(track, end, kSliceEnd);
    Send();
  }

  void Value(int track, Time time, double value) override {
    pf::TrackEvent* event = NewEvent(track, time, kCounter);
    if (value == std::floor(value)) {
      event->set_counter_value(static_cast<std::int64_t>(value));
    } else {
      event->set_double_counter_value(value);
    }
    Send();
  }

 private:
  pf::TracePacket* NewPacket() {
    packet_.Clear();
    packet_.set_trusted_packet_sequence_id(kSequence);
    return &packet_;
  }

  pf::TrackDescriptor* NewTrack(int id, int process) {
    pf::TrackDescriptor* track = NewPacket()->mutable_track_descriptor();
    track->set_uuid(static_cast<std::uint64_t>(id));
    track->set_parent_uuid(kFirstProcess + static_cast<std::uint64_t>(process));
    track->set_sibling_order_rank(id);
    return track;
  }

  pf::TrackEvent* NewEvent(int track, Time time, std::uint32_t type) {
    pf::TracePacket* packet = NewPacket();
    packet->set_timestamp(static_cast<std::uint64_t>(time.ps() / kPsPerNs));
    pf::TrackEvent* event = packet->mutable_track_event();
    event->set_type(type);
    event->set_track_uuid(static_cast<std::uint64_t>(track));
    return event;
  }

  std::uint64_t Intern(std::string_view text, Strings* strings,
                       pf::InternedString* (pf::InternedData::*add)()) {
    const auto it = strings->find(text);
    if (it != strings->end()) return it->second;
    const std::uint64_t iid = strings->size() + 1;
    strings->emplace(std::string(text), iid);
    pf::InternedString* interned = (packet_.mutable_interned_data()->*add)();
    interned->set_iid(iid);
    interned->set_str(std::string(text));
    return iid;
  }

  // A file is a concatenation of Trace messages, here of one packet each.
  void Send() {
    if (!std::exchange(started_, true)) {
      packet_.set_sequence_flags(packet_.sequence_flags() | kCleared | kNeedsInterned);
    }
    bytes_.clear();
    bytes_.push_back('\x0a');  // field 1, length delimited
    std::size_t size = packet_.ByteSizeLong();
    for (; size >= 0x80; size >>= 7) bytes_.push_back(static_cast<char>(size | 0x80));
    bytes_.push_back(static_cast<char>(size));
    packet_.AppendToString(&bytes_);
    file_.Write(bytes_);
  }

  OutputFile& file_;
  pf::TracePacket packet_;
  std::string bytes_;
  bool started_ = false;
  Strings names_, categories_, arguments_, values_;
};

}  // namespace

std::unique_ptr<TraceFormat> MakePerfettoTrace(OutputFile* file) {
  return std::make_unique<PerfettoTrace>(file);
}

}  // namespace meshstep
