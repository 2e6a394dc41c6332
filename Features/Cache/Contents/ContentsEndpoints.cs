using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Discobot.Features.Cache.Contents;

/// <summary>What is stored, over the REST API.</summary>
internal static class ContentsEndpoints
{
    private const int EntriesAWrite = 100;
    private const string Patterns = "pattern must be one glob over the address, as in *.example.com/pool/*";

    /// <summary>
    /// <c>GET /api/cache/entries?pattern=…&amp;sort=used|size|age&amp;limit=…</c> lists, <c>GET /api/cache/entry?key=…</c> shows one address or file,
    /// <c>DELETE /api/cache/entries?pattern=…&amp;dry_run=…</c> evicts.
    /// </summary>
    public static void MapContents(this IEndpointRouteBuilder endpoints)
    {
        var listing = endpoints.ServiceProvider.GetRequiredService<CacheListing>();
        RequestDelegate list = context => ListAsync(context, listing);
        RequestDelegate show = context => ShowAsync(context, listing);
        RequestDelegate evict = context => EvictAsync(context, listing);
        endpoints.MapGet("/api/cache/entries", list);
        endpoints.MapDelete("/api/cache/entries", evict);
        endpoints.MapGet("/api/cache/entry", show);
    }

    private static async Task ListAsync(HttpContext context, CacheListing listing)
    {
        var query = context.Request.Query;
        KeyPattern? pattern = null;
        if (query.ContainsKey("pattern") && !KeyPattern.TryParse(query["pattern"], out pattern))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, Patterns);
            return;
        }

        var order = query["sort"].ToString() switch { "" or "used" => ListOrder.Used, "size" => ListOrder.Size, "age" => ListOrder.Age, _ => (ListOrder?)null };
        if (order is null)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "sort must be used, size or age");
            return;
        }

        var limit = int.MaxValue;
        if (query.ContainsKey("limit") && (!int.TryParse(query["limit"], out limit) || limit < 1))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "limit must be a number of at least 1");
            return;
        }

        var cancel = context.RequestAborted;
        await listing.ReadyAsync(cancel);
        context.Response.ContentType = "application/json; charset=utf-8";
        await Task.Run(() => WriteAsync(context.Response.BodyWriter, listing.List(pattern, order.Value).Take(limit), cancel), cancel);
    }

    // A million entries are written as they are read: none of them waits in memory for the last.
    private static async Task WriteAsync(PipeWriter output, IEnumerable<ListedEntry> entries, CancellationToken cancel)
    {
        await using var json = new Utf8JsonWriter(output);
        json.WriteStartArray();
        var written = 0;
        foreach (var entry in entries)
        {
            JsonSerializer.Serialize(json, entry, ContentsJson.Default.ListedEntry);
            if (++written % EntriesAWrite != 0)
                continue;
            await json.FlushAsync(cancel);
            await output.FlushAsync(cancel);
        }

        json.WriteEndArray();
        await json.FlushAsync(cancel);
        await output.FlushAsync(cancel);
    }

    private static async Task ShowAsync(HttpContext context, CacheListing listing)
    {
        if (context.Request.Query["key"] is not [{ Length: > 0 } key])
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "the query must have one key: an address as it is listed, or the name of a file");
            return;
        }

        var cancel = context.RequestAborted;
        await listing.ReadyAsync(cancel);
        var found = await Task.Run(() => listing.Show(key), cancel);
        if (found.Count > 0)
            await context.Response.WriteAsJsonAsync(found, ContentsJson.Default.IReadOnlyListShownEntry, cancellationToken: cancel);
        else
            await RefuseAsync(context, StatusCodes.Status404NotFound, $"nothing is stored of {key}");
    }

    private static async Task EvictAsync(HttpContext context, CacheListing listing)
    {
        if (!KeyPattern.TryParse(context.Request.Query["pattern"], out var pattern))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, Patterns);
            return;
        }

        var dryRun = context.Request.Query["dry_run"].ToString() switch { "" or "false" => false, "true" => true, _ => (bool?)null };
        if (dryRun is null)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "dry_run must be true or false");
            return;
        }

        var cancel = context.RequestAborted;
        await listing.ReadyAsync(cancel);
        var evicted = await Task.Run(() => listing.Evict(pattern, dryRun.Value, cancel), cancel);
        await context.Response.WriteAsJsonAsync(evicted, ContentsJson.Default.EvictedEntries, cancellationToken: cancel);
    }

    public static Task RefuseAsync(HttpContext context, int status, string reason)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new ContentsRefusal(reason), ContentsJson.Default.ContentsRefusal);
    }
}

internal sealed record ContentsRefusal([property: JsonPropertyName("error")] string Error);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ListedEntry))]
[JsonSerializable(typeof(IReadOnlyList<ShownEntry>))]
[JsonSerializable(typeof(EvictedEntries))]
[JsonSerializable(typeof(ContentsRefusal))]
internal sealed partial class ContentsJson : JsonSerializerContext;
