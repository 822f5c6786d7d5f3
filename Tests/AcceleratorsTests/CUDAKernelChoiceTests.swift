import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import Accelerators
@testable import Engine

/// Of several kernels that do the same, the fastest is taken, where it was measured.
@Suite struct CUDAMeasuredKernelsTests {
  private typealias Question = CUDAMeasuredKernels.Question

  private static func question(pixels: Int, width: Int = 56, normalises: Bool = true) -> Question {
    Question(operation: .growth, inputLanes: 128, outputLanes: 32, width: width, pixels: pixels, normalises: normalises)
  }

  private static func timing(_ kernels: [String], share: Int = 1, _ microseconds: Double)
    -> CUDAMeasuredKernels.Answer.Timing
  {
    .init(name: .init(kernels: kernels, share: share), microseconds: microseconds)
  }

  private static let measured = CUDAMeasuredKernels(
    date: "2026-01-02T03:04:05Z",
    answers: [
      .init(question: question(pixels: 1000), timings: [timing(["a"], 3), timing(["b", "c"], 2.5), timing(["d"], 4)]),
      .init(
        question: question(pixels: 16000), timings: [timing(["a"], 3), timing(["a"], share: 2, 2), timing(["d"], 3.5)]),
    ])

  /// Pixels, and what is taken: of another batch what the nearest was measured with, if it has at most twice as many pixels, or half.
  @Test(
    arguments: [
      (1000, ["b", "c"], 1), (500, ["b", "c"], 1), (2000, ["b", "c"], 1), (499, nil, 1), (2001, nil, 1),
      (8000, ["a"], 2),
      (32001, nil, 1),
    ] as [(Int, [String]?, Int)])
  func `the fastest is taken`(pixels: Int, kernels: [String]?, share: Int) {
    let expected = kernels.map { CUDAKernelChoice.Candidate.Name(kernels: $0, share: share) }
    #expect(Self.measured.fastest(Self.question(pixels: pixels)) == expected)
    #expect(Self.measured.fastest(Self.question(pixels: pixels, width: 28)) == nil)
    #expect(Self.measured.fastest(Self.question(pixels: pixels, normalises: false)) == nil)
    #expect(CUDAMeasuredKernels().fastest(Self.question(pixels: pixels)) == nil)
  }

  @Test func `what was kept is read again, and what is damaged counts as nothing`() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/made/kernels.json"
      #expect(CUDAMeasuredKernels.load(from: path) == CUDAMeasuredKernels())
      try Self.measured.save(to: path)
      #expect(CUDAMeasuredKernels.load(from: path) == Self.measured)
      let text = try String(contentsOfFile: path, encoding: .utf8)
      for (part, other) in [
        ("\"pixels\": 1000", "\"pixels\": 0"), ("\"growth\"", "\"grow\""), ("2.5", "\"2.5\""), ("]", ""),
        ("\"b\"", "7"), ("\"share\": 2", "\"share\": null"),
        ("\"date\"", "\"data\""),
      ] {
        try text.replacing(part, with: other, maxReplacements: 1).write(toFile: path, atomically: true, encoding: .utf8)
        #expect(CUDAMeasuredKernels.load(from: path) == CUDAMeasuredKernels(), "\(other) for \(part)")
      }
    }
  }
}

extension Emulated {
  @Suite struct CUDAKernelTrialsTests {
    /// In an order that has nothing to do with that of the candidates.
    private static func microseconds(_ launches: [CUDALaunch]) -> Double {
      launches.reduce(0) {
        $0 + Double("\($1.kernel.name) \($1.grid)".utf8.reduce(7) { ($0 &* 31 &+ Int($1)) % 1009 })
      }
    }

    private static func trials() -> CUDAKernelTrials {
      CUDAKernelTrials(precision: .bf16) { preference throws(BackendError) in
        try CUDADevice(named: "cuda", library: builtCUDAEmulator, preference: preference)
      }
    }

    @Test func `all candidates are tried, and sessions launch the fastest`() throws {
      let network: ConformanceCase = .small(32, [2, 1], stem: 64, channels: 1, 33, 41, 3)
      let training = try Plan(
        network.architecture, mode: .training, batchSize: 3, height: 33, width: 41)
      let inference = try Plan(network.architecture, mode: .inference, batchSize: 3, height: 33, width: 41)
      var launched: [Set<String>] = []
      _ = try emulatedDevice()
      let measured = try Self.trials().measure([training, inference], date: "today") { launches in
        launched.append(Set(launches.map(\.kernel.name)))
        return Self.microseconds(launches)
      }

      let asked = Dictionary(grouping: measured.answers, by: \.question.operation).mapValues(\.count)
      // Three layers; their 1×1 convolutions have different inputs in a block, their 3×3 ones are alike, and differ by what goes in between the modes.
      #expect(
        asked == [.pointwise: 4, .growth: 4, .pointwiseGradients: 3, .growthGradients: 2, .transitionGradients: 1])
      for answer in measured.answers {
        let names = answer.timings.map(\.name)
        #expect(Set(names).count == names.count, "\(answer.question): \(names)")
        let shares = names.map(\.share)
        switch answer.question.operation {
        case .pointwise: #expect(names.count == (answer.question.normalises ? 5 : 3))
        case .growth: #expect(names.count == 6)
        // Kernels for both gradients, each for one, and the former with fewer parts.
        case .pointwiseGradients: #expect(shares == [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4])
        case .growthGradients: #expect(shares == [1, 1, 1, 1, 1, 2, 2, 4, 4])
        case .transitionGradients: #expect(names.count == 2)
        }
      }
      // What was timed of a candidate is launched for it, with what it needs beside: what is resolved, and sums of parts.
      #expect(launched.count == measured.answers.map(\.timings.count).reduce(0, +))
      for kernels in launched where kernels.contains(where: { $0.hasPrefix("growth_weight_gradient") }) {
        #expect(kernels.contains("resolve_gradient_bf16") && kernels.contains("sums_of_parts") && kernels.count == 4)
      }
      for kernels in launched where kernels.contains(where: { $0.hasPrefix("growth_gradients") }) {
        #expect(kernels.contains("sums_of_parts") && kernels.count == 2)
      }

      let (_, device) = try emulatedDevice(preference: .measured(measured))
      let session = try CUDATraining(training, .bf16, device)
      for launch in session.launches(3).joined() {
        guard let question = launch.question else { continue }
        let answer = try #require(measured.answers.first { $0.question == question })
        let companions = ["resolve_gradient_bf16", "sums_of_parts"]
        #expect((answer.fastest?.kernels ?? []).contains(launch.kernel.name) || companions.contains(launch.kernel.name))
        #expect(device.choice.answer(question, .bf16) == answer.fastest)
      }
    }

    /// What a time is worth in emulation is nothing; but it is taken as on a card.
    @Test func `times are taken of a plan that there is memory for`() throws {
      let network: ConformanceCase = .small(4, [1], stem: 8, channels: 1, 8, 9, 2)
      let plan = try Plan(network.architecture, mode: .training, batchSize: 2, height: 8, width: 9)
      let large = try Plan(network.architecture, mode: .training, batchSize: 4096, height: 512, width: 512)
      let (emulator, _) = try emulatedDevice()
      var trials = Self.trials()
      trials.repeats = 1
      let measured = try trials.measure([large, plan], date: "today")
      #expect(measured.answers.count == 4 && measured.answers.allSatisfy { $0.question.pixels < 100 })
      #expect(measured.answers.flatMap(\.timings).allSatisfy { $0.microseconds.isFinite && $0.microseconds >= 0 })
      #expect(emulator.violation == "")
    }
  }
}

extension Emulated {
  @Suite struct CUDACandidatesTests {
    private func compare() throws -> (summaries: [Conformance.Summary], isLost: Bool) {
      let network = try #require(Conformance.quickCases(.bf16).first { $0.mode == .training && $0.hasDecidedGates })
      let expectation = try Conformance.Expectation(network, pool: ThreadPool(threads: 2))
      return try CUDACandidates { preference throws(BackendError) in
        try CUDADevice(named: "cuda", library: builtCUDAEmulator, preference: preference)
      }.compare(with: [expectation])
    }

    @Test func `candidates are compared one by one, and one that a device ends is named`() throws {
      let (emulator, _) = try emulatedDevice()
      defer { emulator.reset() }
      emulator.recordSites(true)
      let right = try compare()
      #expect(!right.isLost && right.summaries.count == CUDAKernelChoice.mostKernels)
      #expect(right.summaries.allSatisfy { $0.cases == 1 && $0.failures.isEmpty })

      let kernel = "pointwise_gradients_64_bulk_90_bf16"
      let site = try #require(emulator.sites.first { $0.hasPrefix(kernel + "\tbarrier") })
      emulator.reset()
      #expect(emulator.plant(site))
      let wrong = try compare()
      let last = try #require(wrong.summaries.last)
      #expect(wrong.isLost && wrong.summaries.dropLast().allSatisfy { $0.failures.isEmpty })
      #expect(last.failures.contains { $0.contains("CUDA_ERROR") } && last.failures.contains { $0.contains(kernel) })
    }
  }
}
