#include "faults.h"

#include <stdlib.h>

#include <set>
#include <tuple>

namespace emu {

static const char* const kinds[] = {"barrier", "syncWarp", "wait", "index", "predicate", "fence"};
static std::set<std::tuple<std::string, Kind, std::string, int>> sites;

struct Seen {
    Place place;
    Kind kind;
};
static Seen recent[1024];  // of this launch, so that a place is looked up once

bool visit(Kind kind, Place place) {
    if (faults.recording) {
        Seen& seen = recent[(unsigned(place.line) * 5 + unsigned(kind)) % 1024];
        if (!(seen.place == place) || seen.kind != kind) {
            seen = {place, kind};
            sites.insert({machine.kernel, kind, place.name(), place.line});
        }
    }
    return faults.isHere && kind == faults.kind && place.line == faults.line && faults.file == place.name();
}

void countLie(Place place) {
    if (++faults.lies > 2'000'000) fail(launchFailed, place, "this predicate was made true two million times: the kernel runs forever");
}

bool plant(const std::string& site) {
    faults.isPlanted = faults.isHere = false;
    faults.watching = faults.recording;
    if (site.empty()) return true;
    const size_t first = site.find('\t'), second = site.find('\t', first + 1), colon = site.rfind(':');
    if (first == std::string::npos || second == std::string::npos || colon == std::string::npos || colon < second) return false;
    const std::string kind = site.substr(first + 1, second - first - 1);
    for (int k = 0; k < 6; k++)
        if (kind == kinds[k]) {
            faults.kernel = site.substr(0, first);
            faults.kind = Kind(k);
            faults.file = site.substr(second + 1, colon - second - 1);
            faults.line = atoi(site.c_str() + colon + 1);
            faults.isPlanted = faults.watching = true;
        }
    return faults.isPlanted;
}

void recordSites(bool on) {
    if (on) sites.clear();
    faults.recording = on;
    faults.watching = on || faults.isPlanted;
}

std::string recordedSites() {
    std::string text;
    for (const auto& [kernel, kind, file, line] : sites) text += kernel + "\t" + kinds[int(kind)] + "\t" + file + ":" + std::to_string(line) + "\n";
    return text;
}

void beginFaults() {
    faults.lies = 0;
    faults.isHere = faults.isPlanted && faults.kernel == machine.kernel;
    if (faults.recording)
        for (Seen& seen : recent) seen = {};
}

}  // namespace emu
