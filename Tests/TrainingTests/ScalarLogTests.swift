import Platform
import TestSupport
import Testing

@testable import Training

@Suite struct ScalarLogTests {
  /// As `Tools/make-fixtures/tensorboard_events.py` has them.
  private let events: [(time: Double, step: Int, scalars: [(tag: String, value: Double)])] = [
    (1_700_000_000.25, 0, [("train/loss", 0.6931472)]),
    (1_700_000_001.5, 1, [("train/loss", -1.5e-30), ("train/learning_rate", 0)]),
    (1_700_000_060, 127, [("validation/auroc", 0.5)]),
    (
      1_700_003_600, 300,
      [("auroc/" + String(repeating: "Pleural_Thickening", count: 8), 0.875), ("auroc/Ödem", 1)]
    ), (1_700_003_600.125, 3_000_000_000, [("train/loss", 3e38)]),
  ]

  @Test func `events have the bytes of TensorBoard's own writer`() throws {
    let expected = try FileReader.contents(of: fixture("training/scalars.tfevents"))
    var found = ScalarLog.record(ScalarLog.version(time: 1_700_000_000))
    for event in events {
      found += ScalarLog.record(ScalarLog.event(event.scalars, step: event.step, time: event.time))
    }
    #expect(found == expected)
  }

  @Test func `a log begins with its version, is found again, and is cut where a state says`() throws {
    try inTemporaryFolder { folder in
      let log = try ScalarLog(folder: folder)
      #expect(log.size == 0)
      try log.add(events[0].scalars, step: 0, time: events[0].time)
      let size = log.size
      #expect(
        try FileReader.contents(of: log.path).starts(with: ScalarLog.record(ScalarLog.version(time: events[0].time))))
      try log.add(events[1].scalars, step: 1, time: events[1].time)
      let whole = try FileReader.contents(of: log.path)

      let again = try ScalarLog(folder: folder)
      #expect(again.path == log.path)
      try again.cut(to: size)
      #expect(again.size == size)
      try again.add(events[1].scalars, step: 1, time: events[1].time)
      #expect(try FileReader.contents(of: log.path) == whole)
    }
  }
}
