import Foundation
import Platform

/// When the job is over that a run is a part of, as Slurm tells it: seconds since 1970 in `SLURM_JOB_END_TIME`. Slurm
/// then ends its processes.
///
/// The run stops before: the longest save so far, twice, and the longest step have to fit, and a minute at least.
struct JobEnd {
  static let variable = "SLURM_JOB_END_TIME"
  /// Seconds.
  private static let leastMargin = 60.0

  /// Seconds since 1970.
  let time: Double
  /// Seconds; of the steps nil before the first: a run that is started takes one, so that a job which is too short gets
  /// somewhere.
  private(set) var longestSave = 0.0
  private(set) var longestStep: Double?

  init(time: Double) { self.time = time }

  /// What `environment` says of it, and what its user should know about that.
  static func told(by environment: [String: String], now: Date = Date()) -> (end: JobEnd?, note: String?) {
    guard let text = environment[variable] else { return (nil, nil) }
    // Beyond the year 9999 it is no date.
    guard let time = UInt64(text), time < 253_402_300_800 else {
      return (nil, "\(variable) is ignored: “\(text.printable)” is no time in seconds since 1970")
    }
    let end = JobEnd(time: Double(time))
    if end.time <= now.timeIntervalSince1970 {
      return (nil, "\(variable) is ignored: \(Self.text(end.time)) is over")
    }
    return (
      end,
      "the job ends at \(Self.text(end.time)) (\(variable)): the run goes on until "
        + "\(Self.text(end.time - leastMargin)) at the latest, saves and exits"
    )
  }

  mutating func saved(in duration: Duration) { longestSave = max(longestSave, duration / .seconds(1)) }

  mutating func stepped(in duration: Duration) { longestStep = max(longestStep ?? 0, duration / .seconds(1)) }

  /// Whether a run has to stop.
  func isNear(now: Date = Date()) -> Bool {
    guard let longestStep else { return false }
    return now.timeIntervalSince1970 >= time - max(Self.leastMargin, 2 * longestSave + longestStep)
  }

  /// `2026-11-26T06:12:00Z`.
  private static func text(_ time: Double) -> String { Date(timeIntervalSince1970: time).formatted(.iso8601) }
}
