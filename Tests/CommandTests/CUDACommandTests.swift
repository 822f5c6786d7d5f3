import Foundation
import Platform
import TestSupport
import Testing

/// The commands on an NVIDIA GPU, whose driver here is the emulator's.
@Suite struct CUDACommandTests {
  private static let trial = DeviceTrial(device: "cuda", environment: ["CHEXNET_CUDA": builtCUDAEmulator])

  @Test func `predict, evaluate and heatmap say what the processor says`() throws {
    try inTemporaryFolder { folder in try Self.trial.inferenceIsTheProcessors(folder) }
  }

  @Test func `what is wrong with the device is said before anything is done, with what to do`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      try Self.trial.expect(
        [
          ("cuda", ["CHEXNET_CUDA": folder + "/libcuda.so.1"], "device.no-driver", 69, "CHEXNET_CUDA"),
          ("cuda", ["CUDA_EMULATOR_DEVICES": "0"], "device.none", 69, "nvidia-smi"),
          ("cuda", ["CUDA_VISIBLE_DEVICES": ""], "device.none", 69, "CUDA_VISIBLE_DEVICES"),
          ("cuda:2", ["CUDA_EMULATOR_DEVICES": "2"], "device.no-such", 69, "cuda:0"),
          ("cuda:one", [:], "device.name", 64, "cuda:0"),
          ("cuda", ["CUDA_EMULATOR_CAPABILITY": "7.5"], "device.unsupported", 69, "cpu"),
          ("cuda", ["CUDA_EMULATOR_MEMORY": "1000000"], "device.memory", 71, "batch"),
          ("cuda", ["CUDA_EMULATOR_FAIL": "cuLaunchKernel:700:1"], "device.failed", 69, "dmesg"),
          ("cuda1", [:], "device.unavailable", 69, "use --device cuda"),
          ("gpu", [:], "device.unavailable", 69, "use --device cuda"),
        ], checkpoint)
      let second = try Self.trial.run(
        ["predict", checkpoint, SmallDemo.image, "--json", "--device", "cuda:1"], ["CUDA_EMULATOR_DEVICES": "2"])
      #expect(second.status == 0, "\(second.err)")
      try Self.trial.refusesMemoryEfficiency(folder)
    }
  }

  @Test func `the emulator tells what each launch moved`() throws {
    try inTemporaryFolder { folder in
      let log = folder + "/launches.tsv"
      let predict = ["predict", try importedCheckpoint(folder), SmallDemo.image, "--device", "cuda"]
      let output = try Self.trial.run(predict, ["CUDA_EMULATOR_LAUNCHES": log, "CUDA_EMULATOR_MULTIPROCESSORS": "1"])
      #expect(output.status == 0, "\(output.err)")
      let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
      #expect(lines.last?.hasPrefix("head_classifier\t1\t") == true)
      for line in lines {
        let numbers = line.split(separator: "\t").dropFirst().compactMap { Int($0) }
        #expect(numbers.count == 9 && numbers[0] == 1, "\(line)")
        #expect(0 < numbers[3] && 0 < numbers[4] && numbers[4] <= numbers[2], "\(line)")
      }
    }
  }

  @Test func `finetune learns what the processor learns, resumes to the same bytes, and goes on elsewhere`() throws {
    try inTemporaryFolder { folder in try Self.trial.resumes(folder) }
  }

  @Test func `doctor compares instructions and arithmetic, and measures nothing on an emulator`() throws {
    let output = try Self.trial.run(["doctor", "--device", "cuda", "--json"], ["CHEXNET_NCCL": builtCUDAEmulator])
    #expect(output.status == 0, "\(output.err)")
    let report = try output.json()
    #expect(report["conforms"]?.bool == true)
    #expect(report["device"]?["compute_capability"] == "9.0")
    #expect(report["device"]?["nccl"]?.string?.hasPrefix("2.") == true)
    #expect((report["primitives"]?.array?.count ?? 0) == 8)
    #expect(report["conformance"]?.array?.compactMap { $0["name"]?.string?.prefix(4) } == ["fp32", "bf16"])
    #expect(report["inference"]?.array?.isEmpty == true && report["kernels"]?.array?.isEmpty == true)
    let text = try Self.trial.run(
      ["doctor", "--device", "cuda", "--conformance-only"], ["CHEXNET_NCCL": "/none/libnccl.so.2"])
    #expect(text.out.contains("NCCL          none"))
    #expect(text.out.contains("mma.m16n8k16.bf16     ok") && text.out.contains("this device is an emulator"))
  }

  /// Of the cards that the kernels are for, the ones with the least shared memory: what needs more, or is Hopper's alone, is not loaded.
  @Test func `a card with less shared memory takes kernels that fit it`() throws {
    try inTemporaryFolder { folder in
      let log = folder + "/launches.tsv"
      let output = try Self.trial.run(
        ["doctor", "--device", "cuda", "--json"],
        ["CUDA_EMULATOR_CAPABILITY": "8.6", "CUDA_EMULATOR_LAUNCHES": log])
      #expect(output.status == 0, "\(output.err)")
      #expect(try output.json()["conforms"]?.bool == true)
      #expect(try output.json()["primitives"]?.array?.count == 6)
      let kernels = try Set(
        String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").map { $0.prefix { $0 != "\t" } })
      #expect(
        kernels.contains { $0.hasPrefix("growth_gradients_") }
          && kernels.contains { $0.hasPrefix("pointwise_gradients_") })
      #expect(!kernels.contains { $0.contains("_90a") })
    }
  }
}
