import Engine
import Foundation

/// Tries all candidates of each question that some plans ask, and says which are the fastest.
struct CUDAKernelTrials {
  typealias Question = CUDAKernelChoice.Question

  let precision: Precision
  /// The device with another preference.
  let open: (CUDAKernelChoice.Preference) throws(BackendError) -> CUDADevice
  /// Of a measurement.
  var repeats = 20

  /// Microseconds that launches take on a stream, one behind the other: of some measurements the fastest, for what else happens on a machine makes
  /// nothing faster.
  func time(_ launches: [CUDALaunch], on stream: borrowing CUDAStream) throws(BackendError) -> Double {
    func milliseconds(_ repeats: Int) throws(BackendError) -> Double {
      try stream.time { stream throws(BackendError) in
        for _ in 0..<repeats { for launch in launches { try stream.launch(launch) } }
      }
    }
    _ = try milliseconds(min(3, repeats))
    var best = Double.infinity
    for _ in 0..<3 { best = min(best, try milliseconds(repeats)) }
    return best / Double(repeats) * 1000
  }

  /// Plans that the device has no memory for are left out. `date`: ISO 8601. `timing`: in place of `time`.
  func measure(
    _ plans: [Plan], date: String, timing: (([CUDALaunch]) -> Double)? = nil
  ) throws(BackendError) -> CUDAMeasuredKernels {
    var (order, found) = ([Question](), [Question: CUDAMeasuredKernels.Answer]())
    for number in 0..<CUDAKernelChoice.most {
      let device = try open(.candidate(number))
      func isKnown(_ question: Question) -> Bool {
        let name = device.choice.answer(question, precision)
        return found[question]?.timings.contains { $0.name == name } == true
      }
      for plan in plans {
        // A session takes its time: none where this number's candidates are all known. The last one stands for all numbers behind it.
        if questions(plan, device).allSatisfy(isKnown) { continue }
        let groups: [(question: Question, launches: [CUDALaunch], time: () throws(BackendError) -> Double)]
        do {
          groups = try self.groups(plan, device)
        } catch .device(.outOfMemory) {
          continue
        }
        for group in groups where !isKnown(group.question) {
          if found[group.question] == nil {
            order.append(group.question)
            found[group.question] = .init(question: group.question, timings: [])
          }
          let name = device.choice.answer(group.question, precision)
          let microseconds = if let timing { timing(group.launches) } else { try group.time() }
          found[group.question]?.timings.append(.init(name: name, microseconds: microseconds))
        }
      }
    }
    return CUDAMeasuredKernels(date: date, answers: order.compactMap { found[$0] })
  }

  private func questions(_ plan: Plan, _ device: CUDADevice) -> Set<Question> {
    Set(CUDANetwork.launches(plan, precision, device).compactMap(\.question))
  }

  /// Of a pass over a full batch, behind another one, what is launched for a question at its first time, in its order.
  private func groups(
    _ plan: Plan, _ device: CUDADevice
  ) throws(BackendError) -> [(question: Question, launches: [CUDALaunch], time: () throws(BackendError) -> Double)] {
    let weights = Weights(initializing: plan.architecture, seed: 1)
    var groups: [(question: Question, launches: [CUDALaunch])] = []
    func gather(_ launches: [CUDALaunch]) {
      var (previous, isNew): (Question?, Bool) = (nil, false)
      for launch in launches {
        if launch.question != previous {
          isNew = launch.question.map { question in !groups.contains { $0.question == question } } ?? false
          if isNew, let question = launch.question { groups.append((question, [])) }
          previous = launch.question
        }
        if isNew { groups[groups.count - 1].launches.append(launch) }
      }
    }
    let run: ([CUDALaunch]) throws(BackendError) -> Double
    switch plan.mode {
    case .inference:
      let session = try CUDASession(plan, precision, device)
      try session.load(weights)
      _ = try session.infer(plan.image.noise(plan.batchSize), keepingFeatures: false)
      gather(session.launches(plan.batchSize))
      run = { launches throws(BackendError) in try time(launches, on: session.stream) }
    case .training:
      let session = try CUDATraining(plan, precision, device)
      try session.load(weights)
      let labels = LabelBatch(
        (0..<plan.batchSize * plan.architecture.classCount).map { $0 % 9 == 0 ? .positive : .negative })
      _ = try session.accumulateGradients(
        plan.image.noise(plan.batchSize), labels: labels, weights: nil, lossScale: 1)
      gather(Array(session.launches(plan.batchSize).joined()))
      run = { launches throws(BackendError) in try time(launches, on: session.stream) }
    }
    return groups.map { group in
      (group.question, group.launches, { () throws(BackendError) in try run(group.launches) })
    }
  }
}
