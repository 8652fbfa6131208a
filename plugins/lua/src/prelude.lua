local native = ...
local log, seconds, fields, format = native.log, native.seconds, native.fields, native.format
local tostring, tonumber, select, concat, error, type = tostring, tonumber, select, table.concat, error, type
dofile, loadfile = nil, nil

function print(...)
    local words = { ... }
    for place = 1, select("#", ...) do words[place] = tostring(words[place]) end
    log(concat(words, "\t"))
end

-- What LuaJIT has of Lua 5.1, and Lua 5.2 has not.
_VERSION = "Lua 5.1"
math.mod, string.gfind = math.fmod, string.gmatch
function gcinfo() return collectgarbage("count") end
function table.getn(list) return #list end
function table.foreach(list, call)
    for key, value in pairs(list) do
        local answer = call(key, value)
        if answer ~= nil then return answer end
    end
end
function table.foreachi(list, call)
    for place = 1, #list do
        local answer = call(place, list[place])
        if answer ~= nil then return answer end
    end
end

-- A filter has no clock: what it makes of a record would depend on when it runs.
local clock = "a filter has no clock; the time of the record is what the function is given"
local C = { c = "%a %b %e %H:%M:%S %Y", x = "%m/%d/%y", X = "%H:%M:%S", r = "%I:%M:%S %p" }
os = {}
function os.time(parts)
    if parts == nil then error("os.time: " .. clock, 2) end
    local function part(name, default)
        local value = tonumber(parts[name] or default)
        if not value then error("os.time: the table has no `" .. name .. "`", 3) end
        return value
    end
    return seconds(part("year"), part("month"), part("day"), part("hour", 12), part("min", 0), part("sec", 0))
end
function os.date(how, time)
    if time == nil then error("os.date: " .. clock .. ", and goes behind the format", 2) end
    how = how or "%c"
    if how:sub(1, 1) == "!" then how = how:sub(2) end
    if how:sub(1, 2) == "*t" then return fields(time) end
    -- What depends on a place is as in C.
    return format((how:gsub("%%(.)", C)), time)
end
function os.difftime(later, earlier) return later - (earlier or 0) end
function os.clock() error("os.clock: " .. clock, 2) end
function os.getenv() return nil end
