import Engine
import Foundation
import Platform
import TestSupport
import Testing

@testable import Training

@Suite struct RunDirectoryTests {
  private let settings = JSONObject([("epochs", 2)])

  private func state(epoch: Int, step: Int) -> TrainingState {
    let architecture = DenseNetArchitecture(growthRate: 1, blockSizes: [1], initialFeatures: 1, classCount: 1)
    var state = TrainingState(
      weights: Weights(initializing: architecture, seed: 1),
      schedule: LearningRateSchedule(.constant, base: 1, epochs: 2, patience: 0))
    (state.epoch, state.step) = (epoch, step)
    return state
  }

  @Test func `a run is begun where nothing is, in an empty folder, and where its making was killed`() throws {
    try inTemporaryFolder { folder in
      let run = RunDirectory(path: folder + "/run")
      #expect(!run.exists && !run.isBegun && !run.canBegin)
      try createFolder(run.path)
      #expect(run.canBegin)
      try createFolder(run.path + "/checkpoints")
      try createFolder(run.path + "/lists")
      for name in ["environment.json", "settings.json.tmp.4711", "lists/list.txt.tmp.4711"] {
        try AtomicFile.write("{", to: run.path + "/" + name, overwriting: false)
      }
      #expect(run.canBegin && !run.isBegun)
      try run.create(settings: settings, equipment: [:], lists: [])
      #expect(run.isBegun && !run.canBegin)
      let files = try FileManager.default.subpathsOfDirectory(atPath: run.path).sorted()
      #expect(files == ["checkpoints", "environment.json", "lists", "settings.json"])
    }
  }

  @Test(arguments: ["notes.txt", "settings.json", "metrics.csv", "x.tmp.", "x.tmp.1a"])
  func `a folder with anything else in it is left alone`(name: String) throws {
    try inTemporaryFolder { folder in
      try AtomicFile.write("", to: folder + "/" + name, overwriting: false)
      #expect(!RunDirectory(path: folder).canBegin)
    }
  }

  @Test func `what a run was begun with is known when it goes on`() throws {
    try inTemporaryFolder { folder in
      let run = RunDirectory(path: folder + "/run")
      let equipment = ["device": "NVIDIA H200", "kernels": "by rule"]
      #expect(run.change(to: equipment) == nil)
      try run.create(settings: settings, equipment: equipment, lists: [])
      #expect(run.change(to: equipment) == nil)
      #expect(run.change(to: ["device": "cpu", "instructions": "AVX2"]) == "device NVIDIA H200, now cpu")
      #expect(
        run.change(to: ["device": "NVIDIA H200", "kernels": "chosen by doctor, today"])
          == "kernels by rule, now chosen by doctor, today")
      // A run of a version that said nothing of it.
      try AtomicFile.write("{\"chexnet\": \"0.1.0\"}", to: run.path + "/environment.json", overwriting: true)
      #expect(run.change(to: equipment) == nil)
    }
  }

  @Test func `lists of the same name are both kept`() throws {
    try inTemporaryFolder { folder in
      for part in ["train", "val"] {
        try createFolder(folder + "/" + part)
        try AtomicFile.write(part, to: "\(folder)/\(part)/list.txt", overwriting: false)
      }
      let run = RunDirectory(path: folder + "/run")
      try run.create(settings: settings, equipment: [:], lists: ["\(folder)/train/list.txt", "\(folder)/val/list.txt"])
      #expect(try FileReader.contents(of: run.path + "/lists/1-list.txt") == Array("train".utf8))
      #expect(try FileReader.contents(of: run.path + "/lists/2-list.txt") == Array("val".utf8))
    }
  }

  @Test func `what stands behind the state is cut off: events, half a line, and files without their names`() throws {
    try inTemporaryFolder { folder in
      let run = RunDirectory(path: folder + "/run")
      try run.create(settings: settings, equipment: [:], lists: [])
      for (event, epoch, step) in [
        ("started", 0, 0), ("checkpoint", 0, 9), ("epoch", 1, 0), ("checkpoint", 1, 4), ("checkpoint", 1, 5),
        ("epoch", 2, 0),
      ] {
        try run.note(event, state(epoch: epoch, step: step))
      }
      try appendBytes(Array(#"{"schema":"chexnet.event","epo"#.utf8), to: run.path + "/events.jsonl")
      let litter = [run.path + "/metrics.csv.tmp.12", run.path + "/checkpoints/best.safetensors.tmp.345"]
      for path in litter { try AtomicFile.write("", to: path, overwriting: false) }
      try AtomicFile.write("", to: run.path + "/checkpoints/best.safetensors", overwriting: false)

      try run.cut(behind: state(epoch: 1, step: 4))
      let events = try String(contentsOfFile: run.path + "/events.jsonl", encoding: .utf8)
      #expect(events.hasSuffix("}\n"))
      let kept = try events.split(separator: "\n").map { try JSONValue.parse(String($0)) }
      #expect(kept.map { $0["event"]?.string } == ["started", "checkpoint", "epoch", "checkpoint"])
      #expect(kept.last?["step"]?.integer == 4)
      #expect(litter.allSatisfy { !FileManager.default.fileExists(atPath: $0) })
      #expect(FileManager.default.fileExists(atPath: run.path + "/checkpoints/best.safetensors"))
    }
  }

  @Test func `a warning says what is done again from the state before the last one`() throws {
    try inTemporaryFolder { folder in
      let run = RunDirectory(path: folder)
      let fault = TrainingError.damagedState(path: run.state, reason: "…")
      func again(_ state: TrainingState) -> String? {
        run.warning(of: fault, goingOnFrom: state, steps: 4).split(separator: "; to be done again: ").last.map(
          String.init)
      }
      #expect(again(state(epoch: 1, step: 2)) == "what followed")
      try run.note("epoch", state(epoch: 3, step: 0))
      try run.note("interrupted", state(epoch: 3, step: 1))
      #expect(again(state(epoch: 3, step: 1)) == "nothing")
      #expect(again(state(epoch: 3, step: 0)) == "1 step")
      #expect(again(state(epoch: 2, step: 1)) == "1 epoch")
      #expect(again(state(epoch: 0, step: 3)) == "2 epochs, 2 steps")
      try run.note("epoch", state(epoch: 4, step: 0))
      #expect(again(state(epoch: 3, step: 4)) == "the validation of epoch 4")
    }
  }

  @Test func `rows of epochs that the state does not have are cut off, and missing ones are an error`() throws {
    try inTemporaryFolder { folder in
      let run = RunDirectory(path: folder)
      #expect(try run.metrics(epochs: 0) == [])
      try run.write(metrics: ["1,a", "2,b", "3,c"], header: "epoch,x")
      #expect(try run.metrics(epochs: 2) == ["1,a", "2,b"])
      let error = #expect(throws: TrainingError.self) { try run.metrics(epochs: 4) }
      #expect(error?.diagnosis.exit == .badData)
    }
  }
}
