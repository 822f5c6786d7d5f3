import Foundation
import Platform
import TestSupport
import Testing

/// Ten thousand steps of the smallest network, watched from outside. Linux's `/proc` tells what the process holds.
@Suite struct FinetuneLengthTests {
  /// Resident memory in KiB, and open descriptors; nil once the process is gone.
  private func holdings(of process: Int32) -> (memory: Int, descriptors: Int)? {
    guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
      let memory = line.split(separator: " ").dropFirst().first.flatMap({ Int($0.split(separator: "\t").last ?? $0) }),
      let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
    else { return nil }
    return (memory, descriptors)
  }

  @Test func `ten thousand steps hold no more memory and files than the second thousand, and say little`() throws {
    try inMemoryFolder { folder in
      // 42 images one by one: 42 steps an epoch.
      let running = try Executable.start(
        SmallDemo.finetune(folder + "/run", epochs: 239) + [
          "--batch-size", "1", "--cache", folder + "/cache", "--progress", "lines",
        ])
      var seen: [(memory: Int, descriptors: Int)] = []
      while running.process.isRunning {
        if let now = holdings(of: running.process.processIdentifier), now.memory > 0 { seen.append(now) }
        usleep(20_000)
      }
      let output = try running.finish()
      #expect(output.status == 0, "\(output.err)")
      let state = try String(contentsOfFile: folder + "/run/events.jsonl", encoding: .utf8)
      #expect(state.contains("\"epoch\":239"))

      try #require(seen.count > 100, "too fast to be watched: \(seen.count) looks")
      // Of the second tenth, when everything is warm, and of the last: half of the looks saw no more memory, and one that met no file which is
      // open for a moment saw the descriptors that stay.
      func usual(_ part: ArraySlice<(memory: Int, descriptors: Int)>) -> (memory: Int, descriptors: Int) {
        (part.map(\.memory).sorted()[part.count / 2], part.map(\.descriptors).min() ?? 0)
      }
      let tenth = seen.count / 10
      let (early, late) = (usual(seen[tenth..<2 * tenth]), usual(seen.suffix(tenth)))
      // The rows of metrics.csv stay in memory, 239 of some 300 bytes, and are joined to a longer text each epoch: with the allocator's pieces
      // a third of a MiB. What lost 128 bytes a step would have lost a MiB.
      #expect(late.memory <= early.memory + 1024, "\(early.memory) KiB became \(late.memory)")
      #expect(late.descriptors <= early.descriptors, "\(early.descriptors) descriptors became \(late.descriptors)")
      #expect(output.err.utf8.count + output.out.utf8.count < 100_000)
    }
  }
}
