import Engine
import Foundation

/// Tries all candidates of each question that some plans ask, and says which are the fastest.
struct CUDAKernelTrials {
  typealias Question = CUDAKernelChoice.Question

  let precision: Precision
  /// The device with another preference.
  let open: (CUDAKernelChoice.Preference) throws(BackendError) -> CUDADevice
  /// Microseconds that launches take on a stream, one behind the other.
  var time: ([CUDALaunch], borrowing CUDAStream) throws(BackendError) -> Double = {
    launches, stream throws(BackendError) in
    let repeats = 20
    var best = Double.infinity
    // The first to warm up; of the others the fastest, for what else happens on a machine makes nothing faster.
    for round in 0..<4 {
      let milliseconds = try stream.time { stream throws(BackendError) in
        for _ in 0..<(round == 0 ? 3 : repeats) { for launch in launches { try stream.launch(launch) } }
      }
      if round > 0 { best = min(best, milliseconds / Double(repeats) * 1000) }
    }
    return best
  }

  /// Plans that the device has no memory for are left out. `date`: ISO 8601.
  func measure(_ plans: [Plan], date: String) throws(BackendError) -> CUDAMeasuredKernels {
    var (order, found) = ([Question](), [Question: CUDAMeasuredKernels.Answer]())
    for number in 0..<CUDAKernelChoice.most {
      let device = try open(.candidate(number))
      for plan in plans {
        let groups: [(question: Question, launches: [CUDALaunch], time: () throws(BackendError) -> Double)]
        do {
          groups = try self.groups(plan, device)
        } catch .device(.outOfMemory) {
          continue
        }
        for group in groups {
          let name = device.choice.answer(group.question, precision)
          if found[group.question] == nil {
            order.append(group.question)
            found[group.question] = .init(question: group.question, timings: [])
          }
          // The last candidate stands for all numbers behind it.
          if found[group.question]?.timings.contains(where: { $0.name == name }) == true { continue }
          found[group.question]?.timings.append(.init(name: name, microseconds: try group.time()))
        }
      }
    }
    return CUDAMeasuredKernels(date: date, answers: order.compactMap { found[$0] })
  }

  /// Of a pass over a full batch, behind another one, what is launched for a question at its first time, in its order.
  private func groups(
    _ plan: Plan, _ device: CUDADevice
  ) throws(BackendError) -> [(question: Question, launches: [CUDALaunch], time: () throws(BackendError) -> Double)] {
    let weights = Weights(initializing: plan.architecture, seed: 1)
    let images = plan.image.noise(plan.batchSize)
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
      _ = try session.infer(images, keepingFeatures: false)
      gather(session.launches(plan.batchSize))
      run = { launches throws(BackendError) in try time(launches, session.stream) }
    case .training:
      let session = try CUDATraining(plan, precision, device)
      try session.load(weights)
      let labels = LabelBatch(
        (0..<plan.batchSize * plan.architecture.classCount).map { $0 % 9 == 0 ? .positive : .negative })
      _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 1)
      gather(Array(session.launches(plan.batchSize).joined()))
      run = { launches throws(BackendError) in try time(launches, session.stream) }
    }
    return groups.map { group in
      (group.question, group.launches, { () throws(BackendError) in try run(group.launches) })
    }
  }
}
