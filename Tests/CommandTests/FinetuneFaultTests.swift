import Checkpoints
import Engine
import Foundation
import Platform
import TestSupport
import Testing

@testable import Training

/// Every call by which a run changes a file fails once, each in a run of its own: with EIO, on a disk that is full from
/// there on, and by a kill before it or, for a write, in the middle of its bytes (`Tests/FaultyDisk`). Whatever fails,
/// a valid state, the last or the one before it, and valid checkpoints stand there, and the same command goes on to the
/// bytes of a run that nothing happened to.
///
/// Of the writes of one file the ordinary tests take the first, the second and the last; `Tools/soak/faults.sh` takes
/// all.
@Suite(.serialized) struct FinetuneFaultTests {
  private static let takesAll = ProcessInfo.processInfo.environment["CHEXNET_SOAK_FAULTS"] != nil

  /// Two steps an epoch, and every file that a run can leave: with this seed the second epoch has the lower loss and
  /// the higher AUROC.
  private func finetune(_ folder: String, _ run: String, epochs: Int) -> [String] {
    [
      "finetune", "--data", SmallDemo.folder, "--train", folder + "/train.txt", "--validation",
      folder + "/validation.txt", "--architecture", "1:1", "--image-size", "32", "--batch-size", "2", "--epochs",
      "\(epochs)", "--schedule", "constant", "--augment", "flip", "--ema", "0.5", "--checkpoint-every", "1", "--cache",
      folder + "/cache", "--cache-size", "64", "--threads", "1", "--learning-rate", "1e-2", "--seed", "5", "--output",
      folder + "/" + run,
    ]
  }

  /// Writes the short lists into `folder`.
  private func makeLists(_ folder: String) throws {
    for (name, list, count) in [("train.txt", "train_list.txt", 4), ("validation.txt", "val_list.txt", 6)] {
      let lines = try String(contentsOfFile: SmallDemo.folder + "/" + list, encoding: .utf8).split(separator: "\n")
      try AtomicFile.write(
        lines.prefix(count).joined(separator: "\n") + "\n", to: folder + "/" + name, overwriting: false)
    }
  }

  @Test func `whatever fails on the way to the next state, a valid one is there, and the run goes on`() throws {
    try inMemoryFolder { folder in
      try makeLists(folder)
      try succeed(finetune(folder, "begun", epochs: 1))
      // As a kill leaves it: what stands behind the state is to be cut off, and what never got its name removed.
      let begun = folder + "/begun"
      try appendBytes(Array(#"{"schema":"chexnet.ev"#.utf8), to: begun + "/events.jsonl")
      try appendBytes([1, 2, 3], to: try ScalarLog(folder: begun).path)
      try appendBytes([1], to: begun + "/checkpoints/best.safetensors.tmp.1")
      let calls = try sweep(folder, from: "begun", epochs: 2) { run, what in
        try checkState(run, what)
        for name in ["best", "best-auroc", "last"] { try checkCheckpoint(run, name, what) }
      }
      // The sweep has seen what it is about.
      let saved = ["best", "best-auroc", "last", "step-3", "step-4", "last.state"].map {
        "checkpoints/\($0).safetensors"
      }
      #expect(calls.contains { $0.file == "checkpoints/previous.state.safetensors" && $0.kind == "rename" })
      for file in saved + ["metrics.csv", "events.jsonl"] {
        let kinds = Set(calls.filter { $0.file == file }.map(\.kind))
        #expect(kinds.isSuperset(of: ["create", "write", "fsync", "rename"]), "\(file): only \(kinds)")
      }
      #expect(Set(calls.map(\.kind)) == ["create", "write", "fsync", "rename", "truncate", "unlink"])
    }
  }

  @Test func `whatever fails while a run goes back to the state before a damaged one, a valid one is there`() throws {
    try inMemoryFolder { folder in
      try makeLists(folder)
      try succeed(finetune(folder, "begun", epochs: 1))
      let state = RunDirectory(path: folder + "/begun").state
      try AtomicFile.write(Array(try FileReader.contents(of: state).dropLast()), to: state, overwriting: true)
      let calls = try sweep(folder, from: "begun", epochs: 1, isStart: true) { run, what in
        try checkState(run, what)
      }
      #expect(calls.contains { $0.file == "checkpoints/last.state.safetensors" && $0.kind == "rename" })
    }
  }

  @Test func `whatever fails while a run begins, the same command begins it`() throws {
    try inMemoryFolder { folder in
      try makeLists(folder)
      let calls = try sweep(folder, from: nil, epochs: 1, isStart: true) { run, what in
        if RunDirectory(path: run).hasState { try checkState(run, what) }
      }
      let files = Set(calls.map(\.file))
      #expect(
        files.isSuperset(of: [
          "", "checkpoints", "lists/train.txt", "environment.json", "settings.json", "events.jsonl",
        ]))
    }
  }

  // MARK: The sweep

  /// A call on a file of the run, by its place in the run directory and without the end of a temporary name.
  private struct Call {
    let number: Int
    let kind: String
    let size: Int
    let file: String
  }

  private enum Fault: String, CaseIterable {
    case eio, enospc, kill
    case killHalf = "kill-half"

    /// Whether it can befall `call`.
    func befalls(_ call: Call) -> Bool {
      switch self {
      case .eio, .kill: true
      // These give space back.
      case .enospc: !["unlink", "truncate"].contains(call.kind)
      case .killHalf: call.kind == "write" && call.size > 1
      }
    }
  }

  /// Lets each call fail of a run that goes on from `begun` (nil: that begins) to `epochs`; `check` is given the
  /// directory behind the failure. Returns all calls of the run. `isStart`: the ordinary tests try only what comes
  /// before the first checkpoint.
  private func sweep(
    _ folder: String, from begun: String?, epochs: Int, isStart: Bool = false, _ check: (String, String) throws -> Void
  ) throws -> [Call] {
    try succeed(finetune(folder, "whole", epochs: epochs))
    let run = folder + "/run"
    func prepare() throws {
      try? FileManager.default.removeItem(atPath: run)
      if let begun { try FileManager.default.copyItem(atPath: folder + "/" + begun, toPath: run) }
    }
    func start(_ fault: [String: String]) throws -> (Executable.Output, Bool) {
      let environment = [
        "LD_PRELOAD": builtFaultyDisk, "FAULTY_DISK_FOLDER": run, "FAULTY_DISK_LOG": folder + "/calls",
      ].merging(fault) { $1 }
      let running = try Executable.start(finetune(folder, "run", epochs: epochs), environment: environment)
      let output = try running.finish()
      return (output, running.process.terminationReason == .uncaughtSignal)
    }
    try prepare()
    let (output, _) = try start([:])
    #expect(output.status == 0, "\(output.err)")
    try compareRuns(run, with: folder + "/whole", "without a fault")
    let calls = try Self.calls(folder + "/calls", run: run)
    for call in Self.takesAll ? calls : Self.chosen(calls, isStart: isStart) {
      for fault in Fault.allCases where fault.befalls(call) {
        try prepare()
        let (output, isKilled) = try start(["FAULTY_DISK_AT": "\(call.number)", "FAULTY_DISK_FAULT": fault.rawValue])
        let what = "\(fault) at call \(call.number), \(call.kind) of “\(call.file)”"
        switch fault {
        case .kill, .killHalf: #expect(isKilled && output.status == SIGKILL, "\(what): \(output.status) \(output.err)")
        case .eio, .enospc:
          #expect(!isKilled && output.status == 74, "\(what): \(output.status) \(output.err)")
          let path = call.file.isEmpty ? run : run + "/" + call.file
          #expect(output.err.contains("error: ") && output.err.contains(path), "\(what): \(output.err)")
        }
        try check(run, what)
        let rest = try Executable.run(finetune(folder, "run", epochs: epochs))
        #expect(rest.status == 0, "\(what): \(rest.err)")
        try compareRuns(run, with: folder + "/whole", what)
      }
    }
    return calls
  }

  /// The calls of a log of the faulty disk.
  private static func calls(_ log: String, run: String) throws -> [Call] {
    try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").enumerated().map { index, line in
      let parts = line.split(separator: " ", maxSplits: 2)
      let path = try #require(parts.last)
      // Names of temporary files, and TensorBoard's, are other ones in each process.
      let end = [".tmp.", "events.out.tfevents."].compactMap { path.range(of: $0, options: .backwards) }.map {
        path[$0].hasSuffix("tfevents.") ? $0.upperBound : $0.lowerBound
      }.min()
      return Call(
        number: index + 1, kind: String(parts[0]), size: try #require(Int(parts[1])),
        file: String(path[..<(end ?? path.endIndex)].dropFirst(run.count + 1)))
    }
  }

  /// All calls but the writes in the middle of a file; of a start, those before the first checkpoint has its bytes.
  private static func chosen(_ calls: [Call], isStart: Bool) -> [Call] {
    var calls = calls
    if isStart, let first = calls.firstIndex(where: { $0.kind == "fsync" && $0.file.hasPrefix("checkpoints/") }) {
      calls = Array(calls[...first])
    }
    return calls.indices.filter { index in
      func isWrite(_ other: Int) -> Bool {
        calls.indices.contains(other) && calls[other].kind == "write" && calls[other].file == calls[index].file
      }
      return !(isWrite(index) && isWrite(index + 1) && isWrite(index - 1) && isWrite(index - 2))
    }.map { calls[$0] }
  }

  // MARK: What stands there

  private func succeed(_ arguments: [String]) throws {
    let output = try Executable.run(arguments)
    #expect(output.status == 0, "\(output.err)")
  }

  private func checkState(_ run: String, _ what: String) throws {
    let architecture = try #require(DenseNetArchitecture(parsing: "1:1", classCount: 14))
    let fresh = TrainingState(
      weights: Weights(initializing: architecture, seed: 1),
      schedule: LearningRateSchedule(.constant, base: 1, epochs: 2, patience: 0), averageDecay: 0.5)
    do {
      #expect(try RunDirectory(path: run).savedState(for: fresh) != nil, "\(what)")
    } catch {
      Issue.record("\(what): \(error)")
    }
  }

  private func checkCheckpoint(_ run: String, _ name: String, _ what: String) throws {
    #expect(throws: Never.self, "\(what)") { _ = try Checkpoint.load(path: "\(run)/checkpoints/\(name).safetensors") }
  }
}
