import Foundation
import Platform
import TestSupport
import Testing

/// The commands on a Gaudi, whose Synapse here is the stub's.
@Suite struct GaudiCommandTests {
  /// Cards are held by files in `folder`: each test has cards of its own.
  private static func trial(_ folder: String) -> DeviceTrial {
    DeviceTrial(
      device: "gaudi",
      environment: [
        "CHEXNET_SYNAPSE": builtGaudiStub, "GAUDI_STUB_RUN": folder, "XDG_CACHE_HOME": folder + "/cache",
      ])
  }

  @Test func `predict, evaluate and heatmap say what the processor says`() throws {
    try inTemporaryFolder { folder in try Self.trial(folder).inferenceIsTheProcessors(folder) }
  }

  @Test func `what is wrong with the device is said before anything is done, with what to do`() throws {
    try inTemporaryFolder { folder in
      try Self.trial(folder).expect(
        [
          ("gaudi", ["CHEXNET_SYNAPSE": folder + "/libSynapse.so"], "device.no-synapse", 69, "CHEXNET_SYNAPSE"),
          // A library that has none of the functions, as an old release has not all.
          ("gaudi", ["CHEXNET_SYNAPSE": builtCUDAEmulator], "device.no-synapse", 69, "release 1.19"),
          ("gaudi", ["GAUDI_STUB_DEVICES": "0"], "device.none", 69, "hl-smi"),
          ("gaudi", ["HABANA_VISIBLE_MODULES": "7"], "device.none", 69, "HABANA_VISIBLE_MODULES"),
          ("gaudi:2", ["GAUDI_STUB_DEVICES": "2"], "device.no-such", 69, "gaudi:0"),
          ("gaudi:one", [:], "device.name", 64, "gaudi"),
          ("gaudi", ["GAUDI_STUB_TAKEN": "1"], "device.taken", 69, "hl-smi"),
          ("gaudi:0", ["GAUDI_STUB_TAKEN": "1"], "device.taken", 69, "free one"),
          ("gaudi", ["GAUDI_STUB_MEMORY": "1000000"], "device.memory", 71, "batch"),
          ("gaudi", ["GAUDI_STUB_FAIL_COMPILE": "batch_norm_inf_f32"], "device.compile", 69, "--compile-only"),
          ("gaudi", ["GAUDI_STUB_FAIL_LAUNCH": "1"], "device.failed", 69, "dmesg"),
          ("gaudi1", [:], "device.unavailable", 69, "use --device gaudi"),
          ("HPU:0", [:], "device.unavailable", 69, "use --device gaudi"),
          ("cpus", [:], "device.unavailable", 69, "use --device cpu"),
        ], importedCheckpoint(folder))
      try Self.trial(folder).refusesMemoryEfficiency(folder)
    }
  }

  /// The network of a run is what the processor's run has; bf16 is another rounding of every map, which ten steps show in the loss's third digit.
  @Test func `finetune learns what it learns on the processor`() throws {
    try inTemporaryFolder { folder in
      let list = try RanksTests.shortList(folder, 34)
      for precision in ["fp32", "bf16"] {
        for device in ["gaudi", "cpu"] {
          let run = try Self.trial(folder).run(
            RanksTests.finetune("\(folder)/\(device)-\(precision)", batchSize: 8, list: list)
              + ["--precision", precision] + (device == "gaudi" ? ["--hpu"] : ["--device", "cpu"]))
          #expect(run.status == 0, "\(run.err)")
        }
      }
      try RanksTests.expectSame(folder + "/gaudi-fp32", as: folder + "/cpu-fp32")
      try GaudiRanksTests.expectCloseLosses(folder + "/gaudi-bf16", folder + "/cpu-bf16")
    }
  }

  @Test func `finetune resumes to the same bytes, and goes on elsewhere`() throws {
    try inTemporaryFolder { folder in try Self.trial(folder).resumes(folder) }
  }

  @Test func `training without the memory for it makes nothing`() throws {
    try inTemporaryFolder { folder in
      let start = SmallDemo.finetune(folder + "/run", epochs: 1) + ["--device", "gaudi", "--json"]
      let short = try Self.trial(folder).run(start, ["GAUDI_STUB_MEMORY": "1000000"])
      #expect(short.status == 71, "\(short.err)")
      #expect(try short.error()["id"] == "device.memory")
      #expect(!somethingStands(at: folder + "/run/checkpoints/last.safetensors"))
    }
  }

  /// A quarter of what a batch of 16 takes is not enough for it; what is then said would fit does.
  @Test func `a batch that would fit is named, and fits`() throws {
    try inTemporaryFolder { folder in
      let predict = [
        "evaluate", try importedCheckpoint(folder), "--data", SmallDemo.folder, "--test",
        SmallDemo.folder + "/test_list.txt", "--json", "--device", "gaudi", "--batch-size",
      ]
      var named = 0
      for memory in stride(from: 8_000_000, through: 96_000_000, by: 8_000_000) {
        let short = try Self.trial(folder).run(predict + ["16"], ["GAUDI_STUB_MEMORY": "\(memory)"])
        if short.status == 0 { break }
        #expect(short.status == 71, "\(short.err)")
        let hint = try short.error()["hint"]?.string ?? ""
        guard hint.hasPrefix("--batch-size ") else { continue }
        let batch = String(hint.split(separator: " ")[1])
        let output = try Self.trial(folder).run(predict + [batch], ["GAUDI_STUB_MEMORY": "\(memory)"])
        #expect(output.status == 0, "\(memory) bytes, \(hint): \(output.err)")
        named += 1
      }
      #expect(named > 0)
    }
  }

  @Test func `a network is compiled once, and that is said`() throws {
    try inTemporaryFolder { folder in
      let run = SmallDemo.finetune(folder + "/run", epochs: 1) + ["--architecture", "2:4,4", "--hpu"]
      for (start, isCompiled) in [("/one", true), ("/two", false)] {
        let output = try Self.trial(folder).run(run + ["--output", folder + start])
        #expect(output.status == 0, "\(output.err)")
        #expect(
          output.err.contains("note: compiling training (") == isCompiled
            && output.err.contains("for gaudi (Gaudi 2), once for this batch size") == isCompiled, "\(output.err)")
      }
    }
  }

  @Test func `doctor compiles every node, with a card or without, and compares`() throws {
    try inTemporaryFolder { folder in
      let without = try Self.trial(folder).run(
        ["doctor", "--device", "gaudi", "--compile-only", "--json"], ["GAUDI_STUB_DEVICES": "0"])
      #expect(without.status == 0, "\(without.err)")
      let generations = try without.json()["compiled"]?.array ?? []
      #expect(generations.count == 2)
      for generation in generations {
        let graphs = generation["graphs"]?.array ?? []
        #expect(graphs.count > 50)
        for graph in graphs { #expect(graph["failures"]?.array?.isEmpty == true) }
      }
      let with = try Self.trial(folder).run(["doctor", "--device", "gaudi"])
      #expect(with.status == 0, "\(with.err)")
      for words in [
        "what Synapse compiles for Gaudi 2", "nodes, against their definitions", "fp32 on gaudi (Gaudi 2)  22 cases",
        "bf16 on gaudi (Gaudi 2)  22 cases", "this Synapse is the tests' stand-in", "send this report in",
      ] {
        #expect(with.out.contains(words), "\(with.out)")
      }
      let refused = try Self.trial(folder).run(
        ["doctor", "--device", "gaudi", "--compile-only"], ["GAUDI_STUB_FAIL_COMPILE": "relu_bwd_bf16"])
      #expect(refused.status == 70)
      // The node by itself, and the network that has it.
      #expect(refused.out.contains("59 graphs  2 WRONG") && refused.out.contains("relu_bwd_bf16"), "\(refused.out)")
      let misplaced = try Self.trial(folder).run(["doctor", "--compile-only"])
      #expect(misplaced.status == 64)
    }
  }
}
