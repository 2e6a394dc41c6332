using CsCheck;

namespace Discobot.Infrastructure.Config;

public sealed class QuantityTests
{
    [Theory]
    [InlineData("30", 30_000)]
    [InlineData("30s", 30_000)]
    [InlineData("4.5s", 4_500)]
    [InlineData("0.25", 250)]
    [InlineData("5m", 300_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("1h0m1s500ms", 3_601_500)]
    [InlineData("500ms", 500)]
    [InlineData("1d12h", 129_600_000)]
    [InlineData("0", 0)]
    public void A_time_is_read_as_people_write_it(string text, int milliseconds)
    {
        Assert.True(Quantity.TryParseDuration(text, out var time));
        Assert.Equal(milliseconds, time.TotalMilliseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("s")]
    [InlineData("-1s")]
    [InlineData("5 m")]
    [InlineData("5m 3")]
    [InlineData("1h30")]
    [InlineData("5w")]
    [InlineData("1.2.3s")]
    [InlineData("9999999999999999999h")]
    public void What_is_no_time_is_refused(string text) => Assert.False(Quantity.TryParseDuration(text, out _));

    [Theory]
    [InlineData("53687091200", 53687091200)]
    [InlineData("20GB", 20_000_000_000)]
    [InlineData("50GiB", 50L << 30)]
    [InlineData("50gib", 50L << 30)]
    [InlineData("1.5 KiB", 1536)]
    [InlineData("12B", 12)]
    [InlineData("20G", 20L << 30)]
    [InlineData("20g", 20L << 30)]
    [InlineData("20 GB", 20_000_000_000)]
    [InlineData("20gb", 20_000_000_000)]
    [InlineData("20Gi", 20L << 30)]
    [InlineData("512m", 512L << 20)]
    [InlineData("1.5T", 3L << 39)]
    [InlineData("64 k", 64L << 10)]
    [InlineData("2TB", 2_000_000_000_000)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void A_size_is_read_as_people_write_it(string text, long expected)
    {
        Assert.True(Quantity.TryParseSize(text, out var bytes));
        Assert.Equal(expected, bytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("GB")]
    [InlineData("-1")]
    [InlineData("1.5")]
    [InlineData("20 gigabytes")]
    [InlineData("9223372036854775808")]
    [InlineData("9999999999999999TiB")]
    public void What_is_no_size_is_refused(string text) => Assert.False(Quantity.TryParseSize(text, out _));

    [Fact]
    public void What_is_written_is_read_back()
    {
        Gen.Long[0, 1L << 50].Sample(bytes => Quantity.TryParseSize(Quantity.Format(bytes), out var back) && back == bytes);
        Gen.Long[0, 1L << 45].Select(ticks => TimeSpan.FromTicks(ticks)).Sample(time =>
            Quantity.TryParseDuration(Quantity.Format(time), out var back) && back == time);
    }

    [Fact]
    public void No_text_makes_it_throw() => Gen.String[Gen.Char["0123456789.hmsGiBKT "], 0, 40].Sample(text =>
        (!Quantity.TryParseDuration(text, out var time) || time >= TimeSpan.Zero) && (!Quantity.TryParseSize(text, out var size) || size >= 0));
}
